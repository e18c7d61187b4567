"""Rendering of models as ONNX and C files in memory, and writing of the files to a folder of exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import FORMS, Form
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW
from edge_seq.support.files import write_atomically
from firmware_export.emission.emit import MANIFEST, emit, runtime_files
from firmware_export.emission.golden import make_golden
from firmware_export.packages.common.registry import package_names, render_package

GOLDEN_WINDOWS = 4
PACKAGES = "packages"


def render_onnx(
    int_model: IntModel, float_model: FloatModel | None = None, *, portable: bool = False
) -> dict[str, bytes]:
    """Render the ONNX files.

    Args:
        int_model: Integer model.
        float_model: Float model; None renders no float files.
        portable: True adds the window graph for runtimes without ``Scan``.

    Returns:
        Content by path in the folder of exports.

    Raises:
        ModelError, ExportError: a model breaks an invariant, or its windows are too long for the portable graph.
    """
    models: dict[str, FloatModel | IntModel] = {"int": int_model}
    if float_model is not None:
        models["float"] = float_model
    files = {f"onnx/{kind}_{form}.onnx": onnx_bytes(model, form) for form in FORMS for kind, model in models.items()}
    if portable:
        proto = export_onnx_int(int_model, form="window", portable=True)
        files[PORTABLE_WINDOW] = bytes(proto.SerializeToString(deterministic=True))
    return files


def onnx_bytes(model: FloatModel | IntModel, form: Form) -> bytes:
    """Render one ONNX file. The same model gives the same bytes.

    Args:
        model: Integer or float model.
        form: ``window`` takes whole windows, ``step`` takes one sample and the states.

    Raises:
        ModelError, ExportError: the model breaks an invariant, or there is no such form.
    """
    if isinstance(model.number_format, FloatFormat):
        proto = export_onnx_float(model, form=form)
    else:
        proto = export_onnx_int(model, form=form)
    return bytes(proto.SerializeToString(deterministic=True))


def render_exports(
    int_model: IntModel,
    float_model: FloatModel,
    golden_counts: NDArray[np.int16],
    packages: Sequence[str] = (),
    *,
    portable: bool = False,
) -> dict[str, bytes]:
    """Render all exports: the ONNX files of both models, the C files, and packages of these.

    Args:
        int_model: Integer model.
        float_model: Float model that it was made from.
        golden_counts: int16 [W, T, C], windows of the self-test.
        packages: Names of packages; see :func:`render_packages`.
        portable: See :func:`render_onnx`.

    Returns:
        Content by path in the folder of exports.

    Raises:
        ModelError, ExportError: a model breaks an invariant, or its name cannot be exported.
        ConfigError: there is no such package.
    """
    c_files = render_c(int_model, golden_counts)
    return {**render_onnx(int_model, float_model, portable=portable), **c_files, **render_packages(packages, c_files)}


def render_c(model: IntModel, golden_counts: NDArray[np.int16]) -> dict[str, bytes]:
    """Render the C files: generated data, golden vectors and the runtime.

    Args:
        model: Integer model.
        golden_counts: int16 [W, T, C], windows of the self-test.

    Returns:
        Content by path in the folder of exports.

    Raises:
        ModelError, ExportError: the model breaks an invariant, or its name cannot be exported.
    """
    texts = {**emit(model, make_golden(model, golden_counts)), **runtime_files()}
    return {f"c/{name}": text.encode("utf-8") for name, text in texts.items()}


def golden_side(has: Callable[[str], bool]) -> str:
    """Side of the split that gives the windows of the self-test: validation if there is one, then test, then training.

    Args:
        has: True for a side that has windows.
    """
    return next(side for side in ("validation", "test", "train") if has(side))


def render_packages(names: Sequence[str], c_files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Render packages of exported C for build systems.

    Args:
        names: names of packages, for example ``arduino``.
        c_files: result of :func:`render_c`.

    Returns:
        Content by path in the folder of exports, ``packages/<name>/...``.

    Raises:
        ConfigError: there is no such package.
    """
    texts = {path.removeprefix("c/"): content.decode("utf-8") for path, content in c_files.items()}
    return {
        f"{PACKAGES}/{name}/{path}": content for name in names for path, content in render_package(name, texts).items()
    }


def packages_in(folder: Path) -> tuple[str, ...]:
    """Names of the packages that a folder of exports has, sorted."""
    return tuple(name for name in package_names() if (folder / PACKAGES / name).is_dir())


def golden_counts(windows: Windows) -> NDArray[np.int16]:
    """Choose windows for the self-test, of different classes if possible: int16 [at most 4, T, C]."""
    _, first_of_class = np.unique(windows.labels, return_index=True)
    others = np.setdiff1d(np.arange(len(windows.labels)), first_of_class)
    chosen = np.concatenate([first_of_class, others])[:GOLDEN_WINDOWS]
    return np.ascontiguousarray(windows.counts[chosen])


def write_exports(files: Mapping[str, bytes], folder: Path) -> dict[str, int]:
    """Write rendered files below a folder. The manifest is written last, so a folder with a manifest is complete.

    Returns:
        Bytes of each file by its path in the folder, sorted by path.
    """
    for name in files:
        if name.endswith(MANIFEST):
            (folder / name).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: (name.endswith(MANIFEST), name)):
        write_atomically(folder / name, files[name])
    return {name: len(files[name]) for name in sorted(files)}
