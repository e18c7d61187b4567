"""Training of a float model, for the commands and the Python interface, and its record."""
