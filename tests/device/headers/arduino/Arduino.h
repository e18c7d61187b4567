// What of Arduino's header the port uses, so that it can be compiled without Arduino.
#pragma once
#include <cstddef>
#include <cstdint>

class Print {
  public:
    virtual ~Print() {}
    virtual size_t write(const uint8_t *buffer, size_t size) = 0;
};

class Stream : public Print {
  public:
    virtual int available() = 0;
    virtual int read() = 0;
};

unsigned long micros();
