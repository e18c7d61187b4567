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
        for name in ("adapt", "decision", "preprocess", "reference_int", "reference_float", "trace")
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


# Rooms from the lowest floor up. A file imports from its own room and from lower floors alone.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "edge_seq.support",
        "edge_seq.arithmetic edge_seq.trials",
        "edge_seq.ir",
        "edge_seq.backends edge_seq.data edge_seq.scores",
        "edge_seq.quant edge_seq.training edge_seq.device firmware_export.emission",
        "edge_seq.frontends edge_seq.live firmware_export.toolchain",
        "firmware_export.packages firmware_export.running",
        "firmware_export.measuring",
        "edge_seq.pipeline",
        "edge_seq.parity edge_seq.compare edge_seq.tuning",
        "edge_seq.report",
        "edge_seq.evidence",
        "edge_seq.workflow",
        "edge_seq.api",
        "edge_seq.cli",
    )
)
LARGEST_ROOM = 15  # Python files at one level


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def project_imports(path: Path, modules: set[str]) -> set[str]:
    """Modules of the project that a file imports, lazily too."""
    found = set()
    for name in imported(path.read_text(encoding="utf-8")):
        if name.split(".")[0] in ("edge_seq", "firmware_export"):
            parts = name.split(".")
            while parts and ".".join(parts) not in modules:
                parts.pop()
            found.add(".".join(parts))
    return found


def import_graph() -> dict[str, set[str]]:
    paths = {module_of(path): path for path in sources("edge_seq", "firmware_export")}
    return {module: project_imports(path, set(paths)) for module, path in paths.items()}


def test_each_room_has_a_floor() -> None:
    rooms = {room_of(module) for module in import_graph() if module not in ("edge_seq", "firmware_export")}
    known = {room for floor in FLOORS for room in floor}
    assert rooms - known - {"edge_seq.__main__"} == set()


def test_no_arrow_leads_from_a_lower_to_an_upper_floor() -> None:
    floor_of = {room: index for index, floor in enumerate(FLOORS) for room in floor}
    top = len(FLOORS)
    upwards = [
        f"{module} imports {other}"
        for module, others in import_graph().items()
        for other in others
        if room_of(module) != room_of(other)
        if floor_of.get(room_of(module), top) <= floor_of.get(room_of(other), top)
    ]
    assert upwards == []


def test_no_circle_of_modules() -> None:
    """Packages are left out: their ``__init__`` may name what is in them."""
    graph = {module: set(others) for module, others in import_graph().items()}
    while leaves := [module for module, others in graph.items() if not others & set(graph) - {module}]:
        for module in leaves:
            del graph[module]
    assert graph == {}


def test_no_room_is_crowded() -> None:
    crowded = {}
    for package in ("edge_seq", "firmware_export"):
        for folder in [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]:
            count = len(list(folder.glob("*.py")))
            if count > LARGEST_ROOM and folder != ROOT / "edge_seq" / "cli":
                crowded[str(folder.relative_to(ROOT))] = count
    assert crowded == {}


def test_the_core_imports_numpy_and_safetensors_alone() -> None:
    assert offenders(sources(*CORE), tuple(HEAVY)) == []


def test_only_training_and_frontends_import_torch() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/training", "edge_seq/frontends")
    assert offenders(rest, ("torch",)) == []


def test_only_onnx_backends_and_frontends_import_onnx() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/backends/onnx", "edge_seq/frontends")
    assert offenders(rest, ("onnx", "onnxruntime")) == []


def test_only_the_runner_of_keras_imports_it() -> None:
    paths = [path for path in sources("edge_seq", "firmware_export") if path.name != "run_keras.py"]
    assert offenders(paths, ("keras", "tensorflow")) == []


def test_only_the_device_part_imports_serial_ports_and_frames() -> None:
    rest = without(sources("edge_seq", "firmware_export"), "edge_seq/device")
    assert offenders(rest, ("serial", "cobs")) == []


def test_the_device_part_imports_nothing_heavy_but_serial_ports() -> None:
    assert offenders(sources("edge_seq/device"), tuple(HEAVY - {"serial"})) == []


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
