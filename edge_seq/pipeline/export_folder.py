"""Paths of exported files in their folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PORTABLE_WINDOW = "onnx/int_window_portable.onnx"  # in the folder of exports, if it was asked for


@dataclass(frozen=True)
class ExportFolder:
    """Paths in a folder of exports.

    Attributes:
        path: Path of the folder.
    """

    path: Path

    @property
    def c_dir(self) -> Path:
        """Folder of the exported C."""
        return self.path / "c"

    def onnx(self, kind: str, form: str) -> Path:
        """Path of one ONNX file: kind ``float`` or ``int``, form ``window`` or ``step``."""
        return self.path / "onnx" / f"{kind}_{form}.onnx"
