"""The small run of the commands' tests."""

from __future__ import annotations

from tests.cli.conftest import small

__all__ = ["small"]
