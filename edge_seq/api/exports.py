"""Export of models as C and ONNX files."""

from __future__ import annotations

from pathlib import Path

from edge_seq.api.models import QuantizedModel, TrainedModel, require_quantized
from edge_seq.backends.onnx.graph import Form
from edge_seq.ir.model import FloatModel, IntModel
from edge_seq.pipeline.exports import onnx_bytes, render_c, render_page, write_exports
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import check_can_write, write_atomically
from firmware_export.emission.emit import MANIFEST
from firmware_export.packages.common.registry import render_package
from firmware_export.toolchain.host import read_manifest


def export_c(model: QuantizedModel, folder: str | Path, *, package: str | None = None) -> Path:
    """Write the C: generated data, golden vectors for the self-test, and the runtime.

    Args:
        model: Integer model from :func:`edge_seq.quantize`.
        folder: Folder for the files. It is made if it is missing.
        package: Build system to arrange the files for, for example ``arduino``; its README says how to build. Packages
            of several models may be written to one folder; they share the runtime. None writes the C alone.

    Returns:
        The folder. Without a package, ``manifest.json`` in it lists the sources to compile.

    Raises:
        ConfigError: the folder cannot be written to, or there is no such package (the message lists all).
        ModelError: the model is not quantized.
        ExportError: the model's name is the name of a system header.

    Example:
        >>> import edge_seq as es
        >>> es.export_c(chip, "out").name
        'out'
        >>> (es.export_c(chip, "packaged", package="plain") / "edge_seq.h").is_file()
        True
    """
    require_quantized(model, doing="exporting C")
    folder = Path(folder)
    check_can_write(folder)
    files = {path.removeprefix("c/"): content for path, content in render_c(model.model, model.golden).items()}
    if package is None:
        _refuse_other_model(folder, model.model.name)
    else:
        files = render_package(package, {path: content.decode("utf-8") for path, content in files.items()})
    write_exports(files, folder)
    return folder


def _refuse_other_model(folder: Path, name: str) -> None:
    """Refuse a folder that holds the export of a model of another name, whose files would stay beside the new ones."""
    if not (folder / MANIFEST).is_file():
        return
    found = read_manifest(folder)["name"]
    if found != name:
        raise ConfigError(
            f"exporting C: {folder} holds the export of model {found!r}, not of {name!r}; give another folder, or "
            "delete it"
        )


def export_page(model: QuantizedModel, path: str | Path) -> Path:
    """Write one HTML page that runs the model in a browser, as ``edge-seq page`` does for a run.

    The page holds the exported C as WebAssembly, runs its self-test first, and needs no network. It reads CSV files
    whose columns have the names and units of the model's channels.

    Args:
        model: Integer model from :func:`edge_seq.quantize`.
        path: HTML file to write.

    Returns:
        The path.

    Raises:
        ConfigError: the folder cannot be written to, or the path is a folder.
        ModelError: the model is not quantized.
        ToolError: there is no compiler for WebAssembly; the message says what to install.

    Example:
        >>> import edge_seq as es
        >>> page = es.export_page(chip, "demo.html").read_text(encoding="utf-8")
        >>> page.startswith("<!doctype html>"), chip.model.name in page
        (True, True)
    """
    require_quantized(model, doing="writing a page")
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"writing a page: {path} is a folder; give the name of a file, such as {path / 'demo.html'}")
    check_can_write(path.parent)
    write_atomically(path, render_page(model.model, model.golden))
    return path


def export_onnx(
    model: QuantizedModel | TrainedModel | IntModel | FloatModel,
    path: str | Path,
    *,
    form: Form = "window",
    portable: bool = False,
) -> Path:
    """Write a model as ONNX.

    Args:
        model: Integer model (integers only, exact) or float model.
        path: File to write.
        form: ``window`` takes whole windows, ``step`` takes one sample and the states.
        portable: For the window form of an integer model: without ``Scan``, for runtimes that lack it or compute
            integers in float32. The step form of an integer model always is.

    Returns:
        The path.

    Raises:
        ConfigError: the folder cannot be written to.
        ExportError: there is no such form, or a float model was to be portable.

    Example:
        >>> import edge_seq as es
        >>> es.export_onnx(chip, "out.onnx", form="step").name
        'out.onnx'
        >>> es.export_onnx(chip, "portable.onnx", portable=True).name  # for OpenVINO and others
        'portable.onnx'
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigError(f"exporting ONNX: {path} is a folder; give the name of a file, such as {path / 'model.onnx'}")
    check_can_write(path.parent)
    inner = model.model if isinstance(model, QuantizedModel | TrainedModel) else model
    write_atomically(path, onnx_bytes(inner, form, portable=portable))
    return path
