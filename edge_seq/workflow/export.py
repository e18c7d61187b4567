"""edge-seq export: the models of a run as ONNX and as C99."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.onnx.run import KINDS, OnnxModel, load_onnx
from edge_seq.data.window_file import load_windows
from edge_seq.ir.describe import ModelDescription, describe
from edge_seq.ir.model import IntModel, model_hash
from edge_seq.ir.serialize import load_model
from edge_seq.live.engine import Engine, OnnxEngine
from edge_seq.parity.export_rungs import require_unchanged
from edge_seq.pipeline import exports
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW, ExportFolder
from edge_seq.support.errors import ConfigError, ModelError, ParityError, ToolError
from edge_seq.support.files import check_can_write, stays_in_folder, write_atomically
from edge_seq.support.json_tables import load_json, reading, save_json
from edge_seq.support.results import Result
from edge_seq.workflow.folder import (
    RunFolder,
    data_file_for,
    load_run_float,
    load_run_int,
    writes_to_run,
    writing,
)
from firmware_export.emission.blob import ByteOrder, choose_byte_order, is_blob, read_blob
from firmware_export.packages.common.registry import check_packages
from firmware_export.toolchain.host import read_manifest

RECORD = "written.json"  # of the folder of exports: size and SHA-256 of each file that an export wrote


@dataclass(frozen=True)
class ExportedRun(Result):
    """What an export wrote to a run, and what became of files of an earlier one that it no longer has.

    Attributes:
        files: bytes of each file by its path in the run folder.
        removed: files of an earlier export that were removed, for example of a model with another name.
        left: files of an earlier export that somebody changed since; they were left where they are.
    """

    files: dict[str, int]
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@writes_to_run
def export_run(
    run: RunFolder, packages: Sequence[str] = (), blobs: Sequence[str] = (), *, portable: bool = False
) -> ExportedRun:
    """Write all exports of a run. What it already has is written again, so that nothing is stale.

    Files of an earlier export that this one does not write, such as those of a model with another name, are removed,
    unless somebody changed them.

    Args:
        run: Folder of a quantized run.
        packages: Names of packages to add, for example ``arduino``.
        blobs: Byte orders of blobs to add, ``little`` or ``big``.
        portable: True adds the window graph for runtimes without ``Scan``.

    Raises:
        ConfigError, ModelError, ExportError, DataError: a step failed; then nothing is written.
    """
    folder = run.exports.path
    chosen = check_packages([*exports.packages_in(folder), *packages])
    orders = (*exports.blobs_in(folder), *map(choose_byte_order, blobs))
    rendered = render_run(run, load_run_int(run), chosen, orders, portable=portable)
    record = folder / RECORD
    before = load_json(record) if record.is_file() else {}
    written = exports.write_exports(rendered, folder)
    removed, left = _remove_stale(folder, before, rendered)
    save_json(record, {name: _signature(content) for name, content in rendered.items()})
    place = folder.relative_to(run.path).as_posix()
    return ExportedRun(
        {f"{place}/{name}": size for name, size in written.items()},
        tuple(f"{place}/{name}" for name in removed),
        tuple(f"{place}/{name}" for name in left),
    )


def _signature(content: bytes) -> dict[str, int | str]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _remove_stale(
    folder: Path, before: Mapping[str, Any], rendered: Mapping[str, bytes]
) -> tuple[list[str], list[str]]:
    """Remove files of an earlier export that are not among the rendered ones, and folders that become empty.

    Returns:
        Paths of the files that were removed, and of those that were left because they changed since.
    """
    removed, left = [], []
    for name, signature in sorted(before.items()):
        path = folder / name
        if name in rendered or not stays_in_folder(name) or path.is_symlink() or not path.is_file():
            continue
        with reading(RECORD):
            same = path.stat().st_size == signature["bytes"] and _signature(path.read_bytes()) == signature
        if not same:
            left.append(name)
            continue
        path.unlink()
        removed.append(name)
        for above in path.relative_to(folder).parents:
            if above == Path() or any((folder / above).iterdir()):
                break
            (folder / above).rmdir()
    return removed, left


def render_run(
    run: RunFolder,
    model: IntModel,
    packages: Sequence[str] | None = None,
    blobs: Sequence[ByteOrder] | None = None,
    *,
    portable: bool = False,
) -> dict[str, bytes]:
    """Render all exports of a run: content by path in its folder of exports.

    Args:
        run: Folder of the run.
        model: Its integer model.
        packages: Names of packages; None for those that the run has.
        blobs: Byte orders of blobs; None for those that the run has.
        portable: True adds the portable window graph; False renders it if the run has it.
    """
    chosen = exports.packages_in(run.exports.path) if packages is None else packages
    orders = exports.blobs_in(run.exports.path) if blobs is None else blobs
    portable = portable or (run.exports.path / PORTABLE_WINDOW).is_file()
    return exports.render_exports(model, load_run_float(run), golden_counts_of(run), chosen, orders, portable=portable)


def write_page(run: RunFolder, out: Path | None = None) -> Path:
    """Write a web page of one file that runs the integer model of a run.

    Args:
        run: Folder of a quantized run.
        out: HTML file to write; None takes reports/page.html of the run.

    Returns:
        The path of the page.

    Raises:
        ConfigError, ModelError, ExportError: the run has no integer model, or the page cannot be written.
        ToolError: there is no compiler for WebAssembly; the message says what to install.
    """
    if out is not None and out.is_dir():
        raise ConfigError(f"page: cannot write to {out}, which is a folder; give the name of a page, {out}/demo.html")
    place = run.reports / "page.html" if out is None else out
    check_can_write(place.parent)
    with writing(run) if out is None else nullcontext():
        said = data_file_for(run.path, None)
        source = None if said is None else said.source
        write_atomically(place, exports.render_page(load_run_int(run), golden_counts_of(run), source))
    return place


@contextmanager
def emitted_c(run: RunFolder, model: IntModel, *, doing: str) -> Iterator[Path]:
    """Give a temporary folder of C sources, emitted in this process and equal to the run's export.

    This copy is compiled and run, so a file that somebody put into the export is never run.

    Args:
        run: Folder of an exported run.
        model: Integer model of the run.
        doing: Beginning of the error message, for example ``measuring car``.

    Raises:
        ParityError: exported files differ; the message names them.
    """
    rendered = exports.render_c(model, golden_counts_of(run))
    require_unchanged(run.exports.path, rendered, doing=doing)
    with tempfile.TemporaryDirectory(prefix="edge_seq_c_") as folder:
        exports.write_exports(rendered, Path(folder))
        yield ExportFolder(Path(folder)).c_dir


def golden_counts_of(run: RunFolder) -> NDArray[np.int16]:
    """Choose windows for the self-test of a run's C: int16 [W, T, C]."""
    side = exports.golden_side(lambda side: run.windows(side).is_file())
    return exports.golden_counts(load_windows(run.windows(side)))


def open_step_model(path: Path, *, kind: str | None = None) -> OnnxModel:
    """Open the step model of a run folder or of an ONNX file.

    Args:
        path: Run folder or ONNX file.
        kind: Export of a run folder to open, ``int`` (default) or ``float``; None for a file.

    Raises:
        ConfigError: the kind is unknown, or was given for a file.
        ModelError: there is no model, or it is not a step model.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"running {path.name}: kind {kind!r} is unknown; give one of {sorted(KINDS)}")
    if path.is_dir():
        path = RunFolder(path).exports.onnx(kind or "int", "step")
    elif kind is not None:
        raise ConfigError(
            f"running {path.name}: kind {kind!r} chooses an export of a run folder, but this is a file; leave out "
            "--kind, or give the run's folder"
        )
    model = load_onnx(path)
    if model.form != "step":
        raise ModelError(
            f"running {path.name}: this is a {model.form} model, which takes whole windows; give the step model of the "
            f"same export, {model.kind}_step.onnx"
        )
    return model


def open_engine(
    path: Path, *, kind: str | None = None, engine: str | None = None, building: Callable[[], None] = lambda: None
) -> Engine:
    """Open the exported model of a run folder or of an ONNX file for a stream.

    Args:
        path: Run folder or ONNX file of a step model.
        kind: Model of a run folder, ``int`` (default) or ``float``; None for a file.
        engine: ``c`` or ``onnx``. None takes ``c`` for the integer model of a run folder that can be built for this
            machine or was built before, else ``onnx``.
        building: Called before the C is built, which takes some seconds.

    Raises:
        ConfigError: kind or engine do not fit the path.
        ModelError, ParityError: there is no model, it is damaged, or the export is stale.
        ToolError: C was asked for, and there is no compiler.
    """
    if engine not in (None, "c", "onnx"):
        raise ConfigError(f"running {path.name}: engine {engine!r} is unknown; give c or onnx")
    has_c = path.is_dir() and kind in (None, "int") and RunFolder(path).int_model.is_file()
    if engine == "c" and not has_c:
        found = "this is a file" if path.is_file() else "the float model has no C" if kind == "float" else "it is not"
        raise ConfigError(
            f"running {path.name}: the engine c takes the integer model of a run folder, but {found}; give such a "
            "folder, or --engine onnx"
        )
    if engine == "onnx" or not has_c:
        return OnnxEngine(open_step_model(path, kind=kind))
    model = _exported_model(RunFolder(path))
    from firmware_export.running.host_model import HostEngine, load_model_library

    try:
        return HostEngine(load_model_library(model, building=building))
    except ToolError:
        if engine == "c":
            raise
        return OnnxEngine(open_step_model(path, kind=kind))


def _exported_model(run: RunFolder) -> IntModel:
    """The integer model of a run, if it is the exported one.

    Raises:
        ConfigError, ModelError: the run holds no integer model, or it is damaged.
        ExportError: the run was not exported yet.
        ParityError: the export was made from another model.
    """
    model = load_run_int(run)
    exported = read_manifest(run.exports.c_dir)["model_hash"]
    if exported != model_hash(model):
        raise ParityError(
            f"running {run.path.name}: its export was made from model {str(exported)[:16]}, but the run now holds "
            f"{model_hash(model)[:16]}: the export is stale. Run {run.command('export')}"
        )
    return model


def inspect_path(path: Path) -> ModelDescription:
    """Describe a run folder (its integer model, else its float model), a saved model or an exported ONNX file.

    Raises:
        ModelError: the path holds none of them, the file is damaged, or it is a blob, which has no description.
    """
    if path.is_dir():
        run = RunFolder(path)
        candidates = [run.int_model, run.float_model]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is None:
            raise ModelError(f"inspecting {path.name}: the folder has no model; give the folder of a trained run")
        return describe(load_model(found))
    if path.suffix == ".onnx":
        from edge_seq.backends.onnx.run import load_onnx

        exported = load_onnx(path)
        return ModelDescription(
            name=path.stem,
            kind=f"{exported.kind} ONNX, {exported.form}",
            model_hash=exported.model_sha256,
            labels=exported.labels,
            contract=exported.contract,
            readout=exported.readout,
        )
    if is_blob(path):
        blob = read_blob(path)
        raise ModelError(
            f"inspecting {path.name}: it is a blob of the model {blob.model_hash[:16]}, for "
            f"{blob.byte_order}-endian processors: {len(blob.content):,} bytes that a firmware loads. What it was "
            "exported from says more: edge-seq inspect RUN"
        )
    return describe(load_model(path))
