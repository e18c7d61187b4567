"""Tests. A package, so that they can share :mod:`tests.zoo`."""
