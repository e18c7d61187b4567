"""Fixed-point primitives and the activation table, used by everything that computes integers."""
