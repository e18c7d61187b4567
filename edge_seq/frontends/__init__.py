"""Frontends: each converts models of another framework to the float model."""
