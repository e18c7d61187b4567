"""Ranges, tables, rounding: how a float model becomes integers, and the proof that they fit."""
