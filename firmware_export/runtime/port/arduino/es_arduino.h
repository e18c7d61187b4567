// A model on an Arduino's Stream (Serial, a USB port, a Bluetooth module): what a sketch needs beside the export.
//
//     #include "es_arduino.h"
//     #include "car.h"
//     #include "car_golden.h"
//
//     static car_memory_t memory;
//     static uint8_t received[ES_WIRE_BODY_BYTES(CAR_NUM_CLASSES)], reply[sizeof received];
//     static uint8_t stream[ES_WIRE_STREAM_BYTES(CAR_NUM_CHANNELS, CAR_NUM_CLASSES) + 60], state[CAR_STATE_BYTES];
//     static es_wire_setup_t setup_of_wire = {nullptr, &car_model, &car_contract, &car_golden, &memory, sizeof memory,
//                                             received, reply, sizeof received, stream, sizeof stream, state};
//     static EsArduino board("my board");
//
//     // Another number at each start: analogRead(A0) ^ micros() would often be the same. Counted in the EEPROM; where
//     // there is none, in flash or a backup register, or from the part's random number generator.
//     static uint32_t next_boot() { // with #include <EEPROM.h>; on ESP also EEPROM.begin(4) before, EEPROM.commit() after
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

#define ES_ARDUINO_WRITE_US 1000000u // after which a stream that takes no byte has lost what was to be sent

class EsArduino {
  public:
    // One sample, int16 counts [C] and its index, counted from the start with the lost ones; false where none has come.
    typedef bool (*Sensor)(int16_t *counts, uint32_t *index);

    explicit EsArduino(const char *name, Sensor sensor = nullptr) : name_(name), sensor_(sensor) {}

    // Once, in setup(): `boot` must be another number at each start, so that a host sees the restart. False where a buffer is too small.
    bool begin(Stream &stream, const es_wire_setup_t &setup, uint32_t boot);

    // As often as loop() runs.
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
