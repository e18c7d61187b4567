"""Tests of the C runtime and of the C generated for it."""
