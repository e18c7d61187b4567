"""Comparing backends with each other."""
