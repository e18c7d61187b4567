"""Export integer models to C99: a hand-written runtime and generated constant data."""
