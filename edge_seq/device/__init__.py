"""A board on a serial port: frames, messages, transports, a client, and a simulated device (SPEC.md, part 2)."""
