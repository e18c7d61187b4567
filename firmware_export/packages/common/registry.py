"""The packages that exist: each file of ``firmware_export/packages`` is one, with its function ``render``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from edge_seq.support.errors import ConfigError
from firmware_export.packages.common.exported import read_exported

_FOLDER = Path(__file__).parents[1]


def package_names() -> tuple[str, ...]:
    """Names of all packages, sorted: ``esp_idf.py`` is the package ``esp-idf``."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("*.py") if path.stem != "__init__"))


def check_packages(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once.

    Raises:
        ConfigError: there is no such package; the message lists all.

    >>> check_packages(["plain", "cmake", "plain"])
    ('plain', 'cmake')
    """
    known = package_names()
    for name in names:
        if name not in known:
            raise ConfigError(f"package {name!r} does not exist. Packages: {', '.join(known)}")
    return tuple(dict.fromkeys(names))


def render_package(name: str, files: Mapping[str, str]) -> dict[str, bytes]:
    """Arrange exported C as a package: pure, the same files give the same package.

    Args:
        name: name of the package, for example ``arduino``.
        files: text of the exported C by path, with the runtime.

    Returns:
        Content by path in the package's folder.

    Raises:
        ConfigError: there is no such package.
    """
    (name,) = check_packages([name])
    module = importlib.import_module(f"firmware_export.packages.{name.replace('-', '_')}")
    rendered = cast(Mapping[str, "str | bytes"], module.render(read_exported(files)))
    return {path: data.encode("utf-8") if isinstance(data, str) else data for path, data in rendered.items()}
