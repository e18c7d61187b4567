"""A worker of a study agrees with the process that steers it, or refuses its trial."""

from __future__ import annotations

import importlib.metadata
import socket

from edge_seq.support.errors import ConfigError, DataError


def installed_version() -> str:
    """Version of this package."""
    return importlib.metadata.version("edge-seq")


def require_version(what: str, version: str) -> None:
    """Check that this worker has the version of the process that steers.

    Args:
        what: name of the kind of study, for the message.
        version: version of the process that steers.

    Raises:
        ConfigError: this worker has another version.
    """
    if version != installed_version():
        raise ConfigError(
            f"{_where(what)} has edge-seq {installed_version()}, and the process that steers {version}; install the "
            "same"
        )


def require_data(what: str, name: str, found: str, expected: str) -> None:
    """Check that this worker has the data of the process that steers.

    Args:
        what: name of the kind of study, for the message.
        name: name of the data.
        found: fingerprint of this worker's data.
        expected: fingerprint of the data of the process that steers.

    Raises:
        DataError: this worker has other data.
    """
    if found != expected:
        raise DataError(
            f"{_where(what)} has other data under {name} (fingerprint {found[:16]}, expected {expected[:16]}); give "
            "every machine the same files at the same path"
        )


def _where(what: str) -> str:
    return f"{what}: the worker on {socket.gethostname()}"
