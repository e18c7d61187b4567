"""From the integer model to C99: a hand-written runtime and generated constant data."""
