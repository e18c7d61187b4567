"""Emit C sources from an integer model."""
