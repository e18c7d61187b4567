#ifdef ARDUINO // other frameworks compile every file of a library too

#include "es_arduino.h"

bool EsArduino::begin(Stream &stream, const es_wire_setup_t &setup, uint32_t boot)
{
    stream_ = &stream;
    setup_ = setup;
    setup_.port = &port_;
    port_.port = this;
    port_.write = write;
    port_.measure = measure;
    port_.sensor = sensor_ == nullptr ? nullptr : sample;
    port_.board = name_;
    port_.tick_unit = "micros()";
    port_.ticks_hz = 1000000u;
    port_.boot = boot;
    ready_ = es_wire_init(&wire_, &setup_) == ES_OK;
    return ready_;
}

void EsArduino::loop()
{
    if (!ready_) {
        return;
    }
    while (stream_->available() > 0) {
        es_wire_receive(&wire_, static_cast<uint8_t>(stream_->read()));
    }
    es_wire_poll(&wire_);
}

void EsArduino::write(void *port, const uint8_t *bytes, size_t count)
{
    // A Stream may accept only a part. Bytes that it does not accept in time are lost, as on a wire, with their frame.
    Stream &stream = *static_cast<EsArduino *>(port)->stream_;
    uint32_t since = static_cast<uint32_t>(micros());
    while (count > 0) {
        const size_t taken = stream.write(bytes, count);
        const uint32_t now = static_cast<uint32_t>(micros());
        if (taken > 0) {
            bytes += taken;
            count -= taken < count ? taken : count;
            since = now;
        } else if (now - since > ES_ARDUINO_WRITE_US) {
            return;
        }
    }
}

uint32_t EsArduino::measure(void *, es_wire_measure_t what)
{
    return what == ES_WIRE_TICKS ? static_cast<uint32_t>(micros()) : ES_WIRE_UNKNOWN;
}

int EsArduino::sample(void *port, int16_t *counts, uint32_t *index)
{
    return static_cast<EsArduino *>(port)->sensor_(counts, index) ? 1 : 0;
}

#endif
