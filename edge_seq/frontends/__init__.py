"""Models of other frameworks in, the float model out."""
