"""Firmware images of exported models: for a bare machine, with the start, harness and linker script of this project."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from edge_seq.support.errors import ConfigError, ToolError
from firmware_export.emission import ctext
from firmware_export.emission.emit import RUNTIME_FOLDER
from firmware_export.toolchain.build import Compiler, compile_c, compile_objects
from firmware_export.toolchain.elf import ElfImage, read_elf
from firmware_export.toolchain.host import read_exports
from firmware_export.toolchain.target import BARE_FOLDER, CompilerChoice, Memory, Target, find_target_compiler

_COMMON_FLAGS = ("-std=c99", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-common", "-g0")
LINKER_SCRIPT = "es_link.ld"
_LINK_FLAGS = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,--entry=es_start")
_NO_CACHE = {"CCACHE_DISABLE": "1"}  # ccache 4.7 gives back objects, but not what -fcallgraph-info writes beside them


@dataclass(frozen=True)
class Image:
    """A linked firmware image.

    Attributes:
        elf: the file.
        target: that it is for.
        compiler: that made it, with its name.
        names: the models, in the order of their index.
        traced: whether gates are in the trace too; what ships is the build without.
        objects: folder of the objects, with the compiler's figures of stacks beside them if they were asked for.
        semihosted: whether it fetches and delivers by itself; else an emulator reaches into its memory.
    """

    elf: Path
    target: Target
    compiler: Compiler
    names: tuple[str, ...]
    traced: bool
    objects: Path
    semihosted: bool = False

    @cached_property
    def content(self) -> ElfImage:
        """What is in the file, read once.

        Raises:
            ToolError: as :func:`firmware_export.toolchain.elf.read_elf`.
        """
        return read_elf(self.elf)


def _models_file(names: Sequence[str]) -> str:
    """The models of an image, and memory for one context of any of them."""
    members = " ".join(f"{name}_memory_t {name};" for name in names)
    pointers = ", ".join(f"&{name}_model" for name in names)
    return (
        ctext.include("es_mail.h")
        + "".join(ctext.include(f"{name}.h") for name in names)
        + f"static union {{ {members} }} es_image_contexts;\n"
        + "void *const es_image_memory = &es_image_contexts;\n"
        + "const size_t es_image_memory_bytes = sizeof es_image_contexts;\n"
        + f"const es_model_t *const es_image_models[] = {{{pointers}}};\n"
        + f"const uint32_t es_image_num_models = {len(names)}u;\n"
    )


def memory_text(memory: Memory) -> str:
    """The regions and the stack, as every linker script of a bare machine begins."""
    return (
        "MEMORY\n{\n"
        f"    FLASH (rx) : ORIGIN = {memory.flash_origin:#x}, LENGTH = {memory.flash_bytes:#x}\n"
        f"    RAM (rwx) : ORIGIN = {memory.ram_origin:#x}, LENGTH = {memory.ram_bytes:#x}\n}}\n"
        f"es_stack_bytes = {memory.stack_bytes:#x};\n"
    )


@cache
def _stack_flags(compiler: Compiler) -> tuple[str, ...]:
    """gcc writes the stack of each function beside the object, from its version 10 on with who calls whom."""
    for flags in (("-fcallgraph-info=su",), ("-fstack-usage",)):
        command = [*compiler.command, *flags, "-E", "-x", "c", "-"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return ()
        if done.returncode == 0 and not done.stderr:
            return flags
    return ()


def build_image(
    folders: Path | Sequence[Path],
    output_folder: Path,
    target: Target,
    *,
    compiler: str | None = None,
    traced: bool = False,
    semihosted: bool = False,
    stack_figures: bool = False,
) -> Image:
    """Compile what is in one or more export folders, with the runtime that is in the first, into one image.

    Args:
        folders: written by :func:`firmware_export.emission.emit.export_c`.
        output_folder: for ``firmware.elf``, the objects and the linker's memory map.
        target: a bare one.
        compiler: name of one of the target's, or the preferred one.
        traced: build with the hook that shows every gate.
        semihosted: for an emulator that cannot be reached into.
        stack_figures: have the compiler write the stack of each function, if it can.

    Raises:
        MissingToolError: where there is no compiler; says what to install.
        ToolError: with the words of a compiler that fails, or of a linker that finds the memory too small.
        ExportError: where a folder is not an export, or two hold models of one name.
        ConfigError: where the target is not a bare machine.
    """
    if target.memory is None or not target.start:
        raise ConfigError(f"building an image for {target.name}: it is not a bare machine; use build_host")
    folders, manifests, names = read_exports(folders, what=f"an image for {target.name}")
    tool, choice = find_target_compiler(target, compiler)
    objects = output_folder / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    models = output_folder / "es_image_models.c"
    models.write_text(_models_file(names), encoding="utf-8")
    script = memory_text(target.memory) + target.linker_script.read_text(encoding="utf-8")
    (output_folder / LINKER_SCRIPT).write_text(script, encoding="utf-8")
    sources = [
        *(folders[0] / source for source in manifests[0]["sources"] if source.startswith("runtime/")),
        *(folder / f"{name}.c" for folder, name in zip(folders, names, strict=True)),
        *(RUNTIME_FOLDER / source for source in target.sources),
        *(BARE_FOLDER / f"{part}.c" for part in ("es_harness", "es_memory", f"es_start_{target.start}")),
        BARE_FOLDER / ("es_wait_semihosted.c" if semihosted else "es_wait.c"),
        models,
    ]
    includes = [
        *(folders[0] / folder for folder in ("runtime/include", "runtime/src")),
        *(RUNTIME_FOLDER / folder for folder in (*target.include_folders, "port", "port/bare")),
        *folders,
    ]
    flags = [
        *_COMMON_FLAGS,
        *(_stack_flags(tool) if stack_figures else ()),
        target.optimization,
        *choice.flags,
        *(f"-D{define}" for define in target.defines),
        f"-DES_MAIL_BUFFER_BYTES={target.memory.buffer_bytes}u",
        *(["-DES_TRACE"] if traced else []),
    ]
    try:
        compiled = compile_objects(
            tool,
            sources,
            objects,
            root=folders[0],
            flags=flags,
            include_folders=includes,
            environment=_NO_CACHE if stack_figures else None,
        )
        elf = _link(tool, choice, compiled, output_folder)
    except ToolError as error:
        raise ToolError(f"{error}\n{choice.note}".strip()) from error
    return Image(elf, target, tool, names, traced, objects, semihosted)


def _link(tool: Compiler, choice: CompilerChoice, objects: Sequence[Path], output_folder: Path) -> Path:
    return compile_c(
        tool,
        objects,
        output_folder / "firmware.elf",
        flags=[
            *choice.flags,
            "-g0",
            *choice.link_flags,
            *_LINK_FLAGS,
            "-T",
            str(output_folder / LINKER_SCRIPT),
        ],
        libraries=choice.libraries,
    )
