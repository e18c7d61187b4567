"""Firmware images of exported models for a bare machine, with this project's start code, harness and linker script."""

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
from firmware_export.toolchain.target import BARE_FOLDER, Memory, Target, find_target_compiler

_COMMON_FLAGS = ("-std=c99", "-ffreestanding", "-ffunction-sections", "-fdata-sections", "-fno-common", "-g0")
LINKER_SCRIPT = "es_link.ld"
_LINK_FLAGS = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,--entry=es_start")
_NO_CACHE = {"CCACHE_DISABLE": "1"}  # ccache 4.7 restores objects, but not the files of -fcallgraph-info


@dataclass(frozen=True)
class Image:
    """A linked firmware image.

    Attributes:
        elf: path of the ELF file.
        target: target that it was built for.
        compiler: compiler that built it.
        names: names of the models, in the order of their index.
        traced: True if the trace contains gates too. Firmware to ship is built without.
        objects: folder of the objects; the compiler's stack figures lie beside them if they were requested.
        semihosted: True if the firmware transfers data by semihosting; False if the emulator accesses its memory.
    """

    elf: Path
    target: Target
    compiler: Compiler
    names: tuple[str, ...]
    traced: bool
    objects: Path
    semihosted: bool = False

    @property
    def buffer_bytes(self) -> int:
        """Size of the harness's buffer."""
        return _memory_of(self.target).buffer_bytes

    @cached_property
    def content(self) -> ElfImage:
        """Content of the ELF file, read once.

        Raises:
            ToolError: see :func:`firmware_export.toolchain.elf.read_elf`.
        """
        return read_elf(self.elf)


def models_file(names: Sequence[str]) -> str:
    """C text of the table of models in an image, and of the memory for one context of any of them."""
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


def _memory_text(memory: Memory) -> str:
    """Head of a linker script for a bare machine: memory regions and stack size."""
    return (
        "MEMORY\n{\n"
        f"    FLASH (rx) : ORIGIN = {memory.flash_origin:#x}, LENGTH = {memory.flash_bytes:#x}\n"
        f"    RAM (rwx) : ORIGIN = {memory.ram_origin:#x}, LENGTH = {memory.ram_bytes:#x}\n}}\n"
        f"es_stack_bytes = {memory.stack_bytes:#x};\n"
    )


@cache
def _stack_flags(compiler: Compiler) -> tuple[str, ...]:
    """Options that make gcc write each function's stack beside the object; since gcc 10 with the call graph."""
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
    """Compile one or more exports into one image, with the runtime from the first.

    Args:
        folders: export folders, written by :func:`firmware_export.emission.emit.export_c`.
        output_folder: folder for ``firmware.elf``, the objects and the linker script.
        target: target without an operating system.
        compiler: name of one of the target's compilers; None takes the preferred one.
        traced: build with the hook that records every gate.
        semihosted: transfer data by semihosting, for an emulator whose memory is not accessible.
        stack_figures: let the compiler write the stack of each function, if it can.

    Raises:
        MissingToolError: there is no compiler; the message says what to install.
        ToolError: the compiler fails, or the memory is too small for the linker; the message holds their output.
        ExportError: a folder is not an export, or two models have the same name.
        ConfigError: the target is not a bare machine.
    """
    memory = _memory_of(target)
    folders, manifests, names = read_exports(folders, what=f"an image for {target.name}")
    output_folder.mkdir(parents=True, exist_ok=True)
    models = output_folder / "es_image_models.c"
    models.write_text(models_file(names), encoding="utf-8")
    start = target.start_source
    sources = [
        *(folders[0] / source for source in manifests[0]["sources"] if source.startswith("runtime/")),
        *(folder / f"{name}.c" for folder, name in zip(folders, names, strict=True)),
        *(RUNTIME_FOLDER / source for source in target.sources),
        *(BARE_FOLDER / f"{part}.c" for part in ("es_harness", "es_memory")),
        *(() if start is None else (start,)),
        BARE_FOLDER / ("es_wait_semihosted.c" if semihosted else "es_wait.c"),
        models,
    ]
    includes = [
        *(folders[0] / folder for folder in ("runtime/include", "runtime/src")),
        *(RUNTIME_FOLDER / folder for folder in (*target.include_folders, "port", "port/bare")),
        *folders,
    ]
    firmware = build_firmware(
        target,
        sources,
        output_folder,
        root=folders[0],
        include_folders=includes,
        flags=[f"-DES_MAIL_BUFFER_BYTES={memory.buffer_bytes}u", *(["-DES_TRACE"] if traced else [])],
        compiler=compiler,
        stack_figures=stack_figures,
    )
    return Image(firmware.elf, target, firmware.compiler, names, traced, firmware.objects, semihosted)


@dataclass(frozen=True)
class BuiltFirmware:
    """Result of :func:`build_firmware`.

    Attributes:
        elf: path of the linked file.
        compiler: compiler that built it.
        objects: folder of the objects.
    """

    elf: Path
    compiler: Compiler
    objects: Path


def build_firmware(
    target: Target,
    sources: Sequence[Path],
    output_folder: Path,
    *,
    root: Path,
    include_folders: Sequence[Path],
    flags: Sequence[str] = (),
    compiler: str | None = None,
    stack_figures: bool = False,
) -> BuiltFirmware:
    """Compile sources for a bare machine and link them, with the flags and the memory of the target.

    Args:
        target: target without an operating system.
        sources: all C files, including the start of the machine.
        output_folder: folder for ``firmware.elf``, its linker script and the objects.
        root: folder of the export, in which the compiler runs;
            see :func:`firmware_export.toolchain.build.compile_objects`.
        include_folders: folders to search for headers, in this order.
        flags: compiler flags in addition to those of the target.
        compiler: name of one of the target's compilers; None takes the preferred one.
        stack_figures: let the compiler write the stack of each function, if it can.

    Raises:
        MissingToolError: there is no compiler; the message says what to install.
        ToolError: the compiler fails, or the memory is too small for the linker; the message holds their output.
        ConfigError: the target is not a bare machine.
    """
    script_text = _memory_text(_memory_of(target)) + target.linker_script.read_text(encoding="utf-8")
    tool, choice = find_target_compiler(target, compiler)
    objects, script = output_folder / "objects", output_folder / LINKER_SCRIPT
    objects.mkdir(parents=True, exist_ok=True)
    script.write_text(script_text, encoding="utf-8")
    try:
        compiled = compile_objects(
            tool,
            sources,
            objects,
            root=root,
            flags=[
                *_COMMON_FLAGS,
                *(_stack_flags(tool) if stack_figures else ()),
                target.optimization,
                *choice.flags,
                *(f"-D{define}" for define in target.defines),
                *flags,
            ],
            include_folders=include_folders,
            environment=_NO_CACHE if stack_figures else None,
        )
        elf = compile_c(
            tool,
            compiled,
            output_folder / "firmware.elf",
            flags=[*choice.flags, "-g0", *choice.link_flags, *_LINK_FLAGS, "-T", str(script)],
            libraries=choice.libraries,
        )
    except ToolError as error:
        raise ToolError(f"{error}\n{choice.note}".strip()) from error
    return BuiltFirmware(elf, tool, objects)


def _memory_of(target: Target) -> Memory:
    if target.memory is None or not target.start:
        raise ConfigError(f"building an image for {target.name}: it is not a bare machine; use build_host")
    return target.memory
