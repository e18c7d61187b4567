"""Clues of names and values: pure functions without a data source."""
