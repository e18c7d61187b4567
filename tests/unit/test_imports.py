"""Imports go one way. Read from the source (lazy imports too), and seen in a fresh interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "onnx", "onnxruntime", "sklearn", "pyarrow", "matplotlib", "serial", "pydantic", "typer", "rich"}
CORE = (
    "edge_seq/ir",
    "edge_seq/quant",
    "edge_seq/support/errors.py",
    "edge_seq/support/files.py",
    "edge_seq/support/names.py",
    *(
        f"edge_seq/backends/{name}.py"
        for name in ("decision", "preprocess", "reference_int", "reference_float", "trace")
    ),
)
CORE_MODULES = [
    "edge_seq",
    "edge_seq.ir.serialize",
    "edge_seq.quant.quantize",
    "edge_seq.quant.calibrate",
    "edge_seq.ir.range_proof",
    "edge_seq.backends.reference_int",
    "edge_seq.backends.reference_float",
    "edge_seq.backends.trace",
]


def imported(source: str) -> set[str]:
    """Dotted names of all modules that a source imports anywhere in it, by statement or by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                names |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                assert node.level == 0, "relative imports are not used here"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in ("import_module", "__import__"):
                    names.add(name)
    return names


def sources(*places: str) -> list[Path]:
    found = []
    for place in places:
        path = ROOT / place
        assert path.exists(), place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return found


def offenders(paths: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(imported(path.read_text(encoding="utf-8")))
        if any(name == module or name.startswith(f"{module}.") for module in forbidden)
    ]


def without(paths: list[Path], *folders: str) -> list[Path]:
    return [path for path in paths if not any(path.is_relative_to(ROOT / folder) for folder in folders)]


def test_the_walk_sees_every_kind_of_import() -> None:
    source = """
import torch.nn as nn
def f():
    from sklearn import metrics
    importlib.import_module("onnx")
    __import__("pyarrow")
"""
    assert imported(source) == {"torch.nn", "sklearn.metrics", "onnx", "pyarrow"}


def test_the_core_imports_numpy_and_safetensors_alone() -> None:
    assert offenders(sources(*CORE), tuple(HEAVY)) == []


def test_the_core_imports_no_other_part_of_the_project() -> None:
    parts = tuple(f"edge_seq.{name}" for name in ("cli", "data", "frontends", "parity", "training", "workflow"))
    assert offenders(sources(*CORE), (*parts, "firmware_export")) == []


def test_the_middle_does_not_know_what_is_built_on_it() -> None:
    assert offenders(sources("edge_seq/ir"), ("edge_seq.quant", "edge_seq.backends")) == []


def test_only_training_and_frontends_import_torch() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/training", "edge_seq/frontends")
    assert offenders(rest, ("torch",)) == []


def test_only_onnx_backends_import_onnx() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/backends/onnx")
    assert offenders(rest, ("onnx", "onnxruntime")) == []


def test_only_the_device_part_imports_serial_ports_and_frames() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/device")
    assert offenders(rest, ("serial", "cobs")) == []


def test_the_device_part_knows_the_middle_alone() -> None:
    others = tuple(f"edge_seq.{name}" for name in ("cli", "data", "frontends", "parity", "training", "workflow"))
    heavy = tuple(HEAVY - {"serial"})
    assert offenders(sources("edge_seq/device"), (*others, *heavy, "firmware_export")) == []


def test_firmware_export_does_not_import_commands_or_training() -> None:
    parts = tuple(f"edge_seq.{name}" for name in ("cli", "data", "frontends", "training", "workflow"))
    assert offenders(sources("firmware_export"), parts) == []


def test_only_commands_import_firmware_export() -> None:
    """edge_seq/workflow is what commands call: the library half of the command line."""
    rest = without(sources("edge_seq"), "edge_seq/cli", "edge_seq/workflow")
    assert offenders(rest, ("firmware_export",)) == []


def modules_after(statements: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter after ``statements``."""
    code = f"{statements}\nimport sys, json\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", CORE_MODULES)
def test_a_fresh_interpreter_loads_nothing_heavy_with_the_core(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "edge_seq" in loaded
    assert loaded & (HEAVY | {"firmware_export"}) == set()


def test_a_model_is_made_verified_and_run_without_anything_heavy() -> None:
    loaded = modules_after(
        "from tests.zoo import *\n"
        "from edge_seq.backends.reference_int import run_reference\n"
        "run_reference(quantized_model(spec('lstm', 5)), random_counts(2, 7, 3))"
    )
    assert loaded & (HEAVY | {"firmware_export"}) == set()
