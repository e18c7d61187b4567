"""The command line. Each command has a short file, which parses, calls one function of the library and prints."""

from edge_seq.cli.app import main

__all__ = ["main"]
