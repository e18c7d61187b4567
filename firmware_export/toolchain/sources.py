"""What the cost of a model on a target depends on: a hash of the sources, and of how they are compiled and run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import version_line
from firmware_export.toolchain.target import BARE_FOLDER, Target, find_emulator, find_target_compiler

_DIGITS = 16


def hash_of_sources(export: Path, target: Target) -> str:
    """Hash of all that decides what a model costs on a target.

    Hashed are the model's C, the runtime, the harness, the linker script, and of the target the memory, the emulator
    and the compiler with its version and options. How instructions are counted is not part of it. Kernels of other
    processors are part of it, as all C files of the runtime are compiled for every target.

    Args:
        export: export folder, written by :func:`firmware_export.emission.emit.export_c`.
        target: target from :func:`firmware_export.toolchain.target.load_target`.

    Returns:
        16 hexadecimal digits.

    Raises:
        MissingToolError: a compiler or an emulator is missing.
    """
    compiler, choice = find_target_compiler(target)
    harness = [RUNTIME_FOLDER / "port", BARE_FOLDER, *(RUNTIME_FOLDER / folder for folder in target.include_folders)]
    folders = [export, export / "runtime" / "include", export / "runtime" / "src", *harness]
    files = [path for folder in folders for path in sorted(folder.glob("*.[ch]")) if "_golden." not in path.name]
    files += [RUNTIME_FOLDER / source for source in target.sources]
    if target.memory is not None:
        files += [target.linker_script, *([] if target.start_source is None else [target.start_source])]
    words = (
        target.optimization,
        target.defines,
        target.memory,
        version_line(compiler.command),
        choice.arguments,
        choice.flags,
        choice.link_flags,
        choice.libraries,
        find_emulator(target).model_dump(exclude={"install"}),
    )
    digest = hashlib.sha256(repr(words).encode())
    for path in dict.fromkeys(files):
        content = path.read_bytes()
        digest.update(f"\n{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]
