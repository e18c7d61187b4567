"""Tests of the C runtime and of what is generated for it."""
