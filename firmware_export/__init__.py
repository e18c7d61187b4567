"""From the integer model to C99: real hand-written runtime, generated const data."""
