"""WebAssembly modules: exported models with this project's harness, and models alone for a package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import Compiler, compile_c
from firmware_export.toolchain.host import read_exports
from firmware_export.toolchain.image import models_file
from firmware_export.toolchain.target import BARE_FOLDER, Target, WasmtimeEmulator, find_target_compiler

COMMON_FLAGS = ("-std=c99", "-ffreestanding", "-g0")
LINK_FLAGS = ("-Wl,--no-entry", "-Wl,-z,stack-size=16384")


@dataclass(frozen=True)
class WasmModule:
    """A module with models and the harness. The harness imports ``es_mail_wait``, which gives it orders.

    Attributes:
        path: path of the module.
        target: target that it was built for.
        compiler: compiler that built it.
        names: names of the models, in the order of their index.
        traced: True if the trace contains gates too.
        buffer_bytes: size of the harness's buffer.
    """

    path: Path
    target: Target
    compiler: Compiler
    names: tuple[str, ...]
    traced: bool
    buffer_bytes: int


def build_wasm(
    folders: Path | Sequence[Path],
    output_folder: Path,
    target: Target,
    emulator: WasmtimeEmulator,
    *,
    compiler: str | None = None,
    traced: bool = False,
) -> WasmModule:
    """Compile one or more exports into one module with the harness, with the runtime from the first.

    Args:
        folders: export folders, written by :func:`firmware_export.emission.emit.export_c`.
        output_folder: folder for ``module.wasm`` and the table of models.
        target: target for WebAssembly.
        emulator: emulator of the target, which says how large the harness's buffer is.
        compiler: name of one of the target's compilers; None takes the preferred one.
        traced: build with the hook that records every gate.

    Raises:
        MissingToolError: there is no compiler; the message says what to install.
        ToolError: the compiler fails; the message holds its output.
        ExportError: a folder is not an export, or two models have the same name.
    """
    folders, manifests, names = read_exports(folders, what=f"a module for {target.name}")
    tool, choice = find_target_compiler(target, compiler)
    output_folder.mkdir(parents=True, exist_ok=True)
    models = output_folder / "es_image_models.c"
    models.write_text(models_file(names), encoding="utf-8")
    exports = ("main", "es_mail", "es_mail_buffer")
    path = compile_c(
        tool,
        [
            *(folders[0] / source for source in manifests[0]["sources"] if source.startswith("runtime/")),
            *(folder / f"{name}.c" for folder, name in zip(folders, names, strict=True)),
            *(BARE_FOLDER / f"{part}.c" for part in ("es_harness", "es_memory")),
            models,
        ],
        output_folder / "module.wasm",
        flags=[
            *COMMON_FLAGS,
            target.optimization,
            *choice.flags,
            *choice.link_flags,
            *LINK_FLAGS,
            *(f"-Wl,--export={name}" for name in exports),
            *(f"-D{define}" for define in target.defines),
            f"-DES_MAIL_BUFFER_BYTES={emulator.buffer_bytes}u",
            *(["-DES_TRACE"] if traced else []),
        ],
        include_folders=[
            *(folders[0] / folder for folder in ("runtime/include", "runtime/src")),
            *(RUNTIME_FOLDER / folder for folder in ("port", "port/bare")),
            *folders,
        ],
    )
    return WasmModule(path, target, tool, names, traced, emulator.buffer_bytes)
