// A model on an Arduino Stream (Serial, a USB port, a Bluetooth module). A sketch needs this and the export:
//
//     #include "es_arduino.h"
//     #include "car.h"
//     #include "car_golden.h"
//
//     static car_memory_t memory;
//     static uint8_t received[ES_WIRE_BODY_BYTES(CAR_NUM_CLASSES)], reply[sizeof received];
//     static uint8_t stream[ES_WIRE_STREAM_BYTES(CAR_NUM_CHANNELS, CAR_NUM_CLASSES) + 60], state[CAR_STATE_BYTES];
//     static es_wire_setup_t setup_of_wire = {nullptr, &car_model, &car_contract, &car_golden, &memory, sizeof memory,
//                                             received, reply, sizeof received, stream, sizeof stream, state,
//                                             nullptr, nullptr};
//     static EsArduino board("my board");
//
//     // A different number at each start (analogRead(A0) ^ micros() would often repeat), counted in the EEPROM. On a
//     // part without EEPROM, count in flash or a backup register, or use the part's random number generator.
//     // Needs #include <EEPROM.h>; on ESP also EEPROM.begin(4) before and EEPROM.commit() after.
//     static uint32_t next_boot() {
//         uint32_t boot;
//         EEPROM.get(0, boot);
//         EEPROM.put(0, ++boot);
//         return boot;
//     }
//     void setup() { Serial.begin(115200); board.begin(Serial, setup_of_wire, next_boot()); }
//     void loop() { board.loop(); }
#ifndef ES_ARDUINO_H
#define ES_ARDUINO_H

#include <Arduino.h>

#include "es_wire.h"

#define ES_ARDUINO_WRITE_US 1000000u // a stream that accepts no byte for this time loses the bytes to be sent

class EsArduino {
  public:
    // Reads one sample: int16 counts [C] and its index, counted from the start, lost samples included. Returns false if
    // there is no new sample.
    typedef bool (*Sensor)(int16_t *counts, uint32_t *index);

    explicit EsArduino(const char *name, Sensor sensor = nullptr) : name_(name), sensor_(sensor) {}

    // Call once, in setup(). `boot` must be a different number at each start, so that a host notices the restart.
    // Returns false if a buffer is too small.
    bool begin(Stream &stream, const es_wire_setup_t &setup, uint32_t boot);

    // Call from loop(), each time.
    void loop();

  private:
    static void write(void *port, const uint8_t *bytes, size_t count);
    static uint32_t measure(void *port, es_wire_measure_t what);
    static int sample(void *port, int16_t *counts, uint32_t *index);

    const char *name_;
    Sensor sensor_;
    Stream *stream_ = nullptr;
    es_wire_port_t port_;
    es_wire_setup_t setup_;
    es_wire_t wire_;
    bool ready_ = false;
};

#endif
