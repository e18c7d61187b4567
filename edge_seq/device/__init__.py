"""A board on a serial port: frames, messages, ports, a client, and a twin of the device for tests (SPEC.md, part 2)."""
