// The model behind the wire protocol: `edge-seq verify RUN --port PORT` compares every state with the reference, and
// `edge-seq device selftest` runs the golden vectors. Needs a board with EEPROM; on ESP also call EEPROM.begin(4) before
// and EEPROM.commit() after next_boot().
#include <EEPROM.h>
#include <es_arduino.h>
#include <@model@.h>
#include <@model@_golden.h>

static @model@_memory_t memory;
static uint8_t received[ES_WIRE_BODY_BYTES(@MODEL@_NUM_CLASSES)], reply[sizeof received];
static uint8_t stream[ES_WIRE_STREAM_BYTES(@MODEL@_NUM_CHANNELS, @MODEL@_NUM_CLASSES)], state[@MODEL@_STATE_BYTES];
static es_wire_setup_t setup_of_wire = {nullptr, &@model@_model, &@model@_contract, &@model@_golden, &memory,
                                        sizeof memory, received, reply, sizeof received, stream, sizeof stream, state,
                                        nullptr, nullptr};
static EsArduino board("Arduino");

// A different number at each start, so that the host notices a restart.
static uint32_t next_boot()
{
    uint32_t boot;
    EEPROM.get(0, boot);
    boot++;
    EEPROM.put(0, boot);
    return boot;
}

void setup()
{
    Serial.begin(115200);
    board.begin(Serial, setup_of_wire, next_boot());
}

void loop()
{
    board.loop();
}
