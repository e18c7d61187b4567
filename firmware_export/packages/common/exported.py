"""The exported C of a model by its parts, as packages arrange them."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_export.emission.emit import MANIFEST, RUNTIME_FOLDER

Files = dict[str, str]
RUNTIME = "edge_seq"  # name of the runtime's library in every package
_TEXTS = Path(__file__).parents[1] / "texts"


@dataclass(frozen=True)
class ExportedC:
    """Files of an export by file name.

    A package holds two libraries: the runtime, which is the same for every model, and the model, which needs it.
    Packages of several models can therefore be copied over each other: files of one name have the same content.

    Attributes:
        name: name of the model.
        version: release of edge_seq that exported it, the version of both libraries.
        manifest: content of ``manifest.json``.
        include: public headers of the runtime.
        sources: C files of the runtime, with the headers that only they include.
        wire: C file and header of the wire protocol.
        load: C files and headers of the loader of blobs, which the linker leaves out of firmware that does not call it.
        model: C file and header of the model.
        golden: C file and header of the golden vectors.
    """

    name: str
    version: str
    manifest: Mapping[str, Any]
    include: Files
    sources: Files
    wire: Files
    load: Files
    model: Files
    golden: Files

    @property
    def library(self) -> str:
        """Name of the model's library."""
        return f"{RUNTIME}_{self.name}"

    @property
    def sentence(self) -> str:
        """What the model is, in plain ASCII without quotes, for metadata in any syntax."""
        cells = ", ".join(str(cell).upper() for cell in self.manifest["cells"])
        return f"Classifier {self.name} ({cells}) as constant data for the edge_seq runtime"

    @property
    def answer(self) -> str:
        """C expression for the text of the latest answer of ``context``."""
        model = f"{self.name}_model"
        if "decision" not in self.manifest["readout"]:
            return f"es_label_text(&{model}, es_label(context))"
        return f'es_decision(context) == ES_UNKNOWN ? "unknown" : es_label_text(&{model}, es_decision(context))'

    def text(self, name: str, **more: str) -> str:
        """A file of the folder ``texts`` with the model's names in it.

        ``@model@`` stands for the model's name, ``@MODEL@`` for its name in macros, ``@library@``, ``@version@``,
        ``@sentence@`` and ``@answer@`` for the properties above; each keyword adds one.
        """
        values = {
            "model": self.name,
            "MODEL": self.name.upper(),
            **{name: getattr(self, name) for name in ("library", "version", "sentence", "answer")},
            **more,
        }
        raw = (_TEXTS / name).read_text(encoding="utf-8")
        return re.sub(r"@(\w+)@", lambda found: values[found[1]], raw)


def read_exported(files: Mapping[str, str]) -> ExportedC:
    """Sort the files of an export.

    Args:
        files: text by path, from :func:`firmware_export.emission.emit.emit` and
            :func:`firmware_export.emission.emit.runtime_files`.
    """
    manifest = json.loads(files[MANIFEST])
    name = str(manifest["name"])

    def below(folder: str) -> Files:
        return {path.removeprefix(folder): text for path, text in files.items() if path.startswith(folder)}

    return ExportedC(
        name=name,
        version=importlib.metadata.version("edge-seq"),
        manifest=manifest,
        include=below("runtime/include/"),
        sources=below("runtime/src/"),
        wire=below("runtime/wire/"),
        load=below("runtime/load/"),
        model={file: files[file] for file in (f"{name}.h", f"{name}.c")},
        golden={file: files[file] for file in (f"{name}_golden.h", f"{name}_golden.c")},
    )


def port_files(port: str) -> Files:
    """Files of a port, such as ``arduino``, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((RUNTIME_FOLDER / "port" / port).iterdir())}


def placed(folder: str, files: Mapping[str, str]) -> Files:
    """Put files into a folder.

    >>> placed("src", {"car.c": ""})
    {'src/car.c': ''}
    """
    return {f"{folder}/{name}": text for name, text in files.items()}


def headers(files: Mapping[str, str]) -> Files:
    """The headers among the files."""
    return {name: text for name, text in files.items() if name.endswith(".h")}


def c_files(files: Mapping[str, str]) -> Files:
    """The C files among the files."""
    return {name: text for name, text in files.items() if name.endswith(".c")}
