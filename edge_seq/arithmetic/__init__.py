"""Fixed-point primitives and the activation table: below everything that computes integers."""
