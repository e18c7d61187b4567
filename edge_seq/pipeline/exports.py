"""Rendering of models as ONNX and C files in memory, and writing of the files to a folder of exports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.float_export import export_onnx_float
from edge_seq.backends.onnx.graph import FORMS, Form
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.data.recording import Windows
from edge_seq.ir.model import FloatFormat, FloatModel, IntModel
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW
from edge_seq.support.errors import ExportError
from edge_seq.support.files import write_atomically
from firmware_export.emission.blob import BYTE_ORDERS, ByteOrder, emit_blob
from firmware_export.emission.emit import MANIFEST, emit, runtime_files
from firmware_export.emission.golden import make_golden
from firmware_export.packages.common.registry import package_names, render_package

if TYPE_CHECKING:  # needs pydantic, which an export does not
    from edge_seq.data.source import DataSource

GOLDEN_WINDOWS = 4
PACKAGES = "packages"
BLOBS = "blob"


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
        ModelError, ExportError: a model breaks an invariant.
    """
    models: dict[str, FloatModel | IntModel] = {"int": int_model}
    if float_model is not None:
        models["float"] = float_model
    files = {f"onnx/{kind}_{form}.onnx": onnx_bytes(model, form) for form in FORMS for kind, model in models.items()}
    if portable:
        files[PORTABLE_WINDOW] = onnx_bytes(int_model, "window", portable=True)
    return files


def onnx_bytes(model: FloatModel | IntModel, form: Form, *, portable: bool = False) -> bytes:
    """Render one ONNX file. The same model gives the same bytes.

    Args:
        model: Integer or float model.
        form: ``window`` takes whole windows, ``step`` takes one sample and the states.
        portable: True makes the window graph of an integer model for runtimes without ``Scan``.

    Raises:
        ModelError, ExportError: the model breaks an invariant, there is no such form, or a float model was to be
            portable.
    """
    if isinstance(model.number_format, FloatFormat):
        if portable:
            raise ExportError("exporting portable ONNX: only integer models have portable graphs; quantize this one")
        proto = export_onnx_float(model, form=form)
    else:
        proto = export_onnx_int(model, form=form, portable=portable)
    return bytes(proto.SerializeToString(deterministic=True))


def render_exports(
    int_model: IntModel,
    float_model: FloatModel,
    golden_counts: NDArray[np.int16],
    packages: Sequence[str] = (),
    blobs: Sequence[ByteOrder] = (),
    *,
    portable: bool = False,
) -> dict[str, bytes]:
    """Render all exports: the ONNX files of both models, the C files, packages of these, and blobs.

    Args:
        int_model: Integer model.
        float_model: Float model that it was made from.
        golden_counts: int16 [W, T, C], windows of the self-test.
        packages: Names of packages; see :func:`render_packages`.
        blobs: Byte orders of blobs; see :func:`render_blobs`.
        portable: See :func:`render_onnx`.

    Returns:
        Content by path in the folder of exports.

    Raises:
        ModelError, ExportError: a model breaks an invariant, or its name cannot be exported.
        ConfigError: there is no such package.
    """
    c_files = render_c(int_model, golden_counts)
    return {
        **render_onnx(int_model, float_model, portable=portable),
        **c_files,
        **render_packages(packages, c_files),
        **render_blobs(int_model, golden_counts, blobs),
    }


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


def render_blobs(model: IntModel, golden_counts: NDArray[np.int16], orders: Sequence[ByteOrder]) -> dict[str, bytes]:
    """Render the model as blobs, which a firmware loads while it runs.

    Args:
        model: Integer model.
        golden_counts: int16 [W, T, C], windows of the self-test.
        orders: Byte orders of the processors that load them.

    Returns:
        Content by path in the folder of exports, ``blob/<name>_<order>.blob``.

    Raises:
        ModelError: the model breaks an invariant.
    """
    if not orders:
        return {}
    golden = make_golden(model, golden_counts)
    return {f"{BLOBS}/{model.name}_{order}.blob": emit_blob(model, golden, order) for order in dict.fromkeys(orders)}


def blobs_in(folder: Path) -> tuple[ByteOrder, ...]:
    """Byte orders of the blobs that a folder of exports has."""
    return tuple(order for order in BYTE_ORDERS if any((folder / BLOBS).glob(f"*_{order}.blob")))


def c_sha256(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the exported C, so that a result can say which C it is about.

    Args:
        files: Content of exported files by path; only those below ``c`` count.

    >>> c_sha256({"c/car.c": b"int a;", "onnx/int_step.onnx": b""}) == c_sha256({"c/car.c": b"int a;"})
    True
    """
    digests = [f"{path} {hashlib.sha256(files[path]).hexdigest()}\n" for path in sorted(files) if path.startswith("c/")]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


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


def render_page(model: IntModel, golden_counts: NDArray[np.int16], source: DataSource | None = None) -> str:
    """Render a web page of one file that runs the model; see :func:`edge_seq.live.model_page.model_page`.

    Args:
        model: Integer model.
        golden_counts: int16 [W, T, C], windows of the self-test.
        source: Data source that says how files are written; None for the names and units of the model's channels alone.

    Raises:
        ModelError, ExportError: the model breaks an invariant, or its name cannot be exported.
        ToolError: there is no compiler for WebAssembly; the message says what to install.
    """
    from edge_seq.live.model_page import model_page

    package = render_packages(["wasm"], render_c(model, golden_counts))
    (script,) = (content for path, content in package.items() if path.endswith("/index.js"))
    (module,) = (content for path, content in package.items() if path.endswith(".wasm"))
    return model_page(model, script=script.decode("utf-8"), wasm=module, source=source)


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
