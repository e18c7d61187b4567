"""The command line: one short file a command; each parses, calls one function of the library, and prints."""

from edge_seq.cli.app import main

__all__ = ["main"]
