"""Targets: what to compile for and where to run it. Each TOML file in ``firmware_export/targets`` is one target.

To add a target, write ``targets/<name>.toml``; ``edge-seq verify RUN --target <name>`` then knows it. A machine that
needs new start code also needs ``runtime/port/bare/es_start_<start>.c``, and ``es_link_<start>.ld`` if ``es_link.ld``
does not fit its memory layout. A target can also be given as the path of a TOML file; these files may lie beside it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.support.opening import load_toml
from edge_seq.support.tables import problems_in
from firmware_export.toolchain.budgets import Budgets
from firmware_export.toolchain.build import Compiler, described, find_compilers
from firmware_export.toolchain.simavr_driver import has_simavr

TARGETS_FOLDER = Path(__file__).parents[1] / "targets"
BARE_FOLDER = Path(__file__).parents[1] / "runtime" / "port" / "bare"
ALL_TARGETS = "all"


class MissingToolError(ToolError):
    """A compiler or an emulator is not installed; the message holds the commands that install it."""


class _Table(BaseModel):
    """Base of the tables of a target. The checks of StrictTable do not go with a union of emulators by kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CompilerChoice(_Table):
    """One way to compile for the target. The first compiler that is installed is used.

    Attributes:
        name: name for selecting the compiler and for reports.
        program: program on the path. Give either this or ``module``.
        module: Python module, run as ``python -m module``.
        arguments: leading arguments, for example ``cc`` for zig.
        flags: options that select the processor.
        link_flags: options for linking only.
        libraries: libraries, placed after the objects when linking.
        install: command that installs the compiler.
        note: known limitation; added to the message if compiling fails.
    """

    name: str
    program: str = ""
    module: str = ""
    arguments: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    install: str
    note: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> CompilerChoice:
        if bool(self.program) == bool(self.module):
            raise ValueError("expected either program or module")
        return self

    def find(self) -> Compiler | None:
        """Return the compiler, or None if it is not installed."""
        if self.module:
            if importlib.util.find_spec(self.module) is None:
                return None
            return Compiler(self.name, (sys.executable, "-m", self.module, *self.arguments))
        path = shutil.which(self.program)
        return None if path is None else Compiler(self.name, (path, *self.arguments))


class _Emulator(_Table):
    install: str


class UnicornEmulator(_Emulator):
    """The emulator in the ``unicorn`` wheel. It accesses the firmware's memory and counts instructions exactly.

    Attributes:
        architecture: processor family, ``arm`` (M profile), ``riscv32`` or ``ppc32``.
        cpu: processor name in ``unicorn``, without ``UC_CPU_..._``; empty for its default.
    """

    kind: Literal["unicorn"]
    architecture: Literal["arm", "riscv32", "ppc32"]
    cpu: str = ""

    @property
    def name(self) -> str:
        """Name for reports."""
        return "unicorn"

    @property
    def described(self) -> str:
        """Name and version for reports."""
        return f"unicorn {importlib.metadata.version('unicorn')}"

    def is_here(self) -> bool:
        """True if the emulator can be started."""
        return importlib.util.find_spec("unicorn") is not None and importlib.util.find_spec("elftools") is not None


class QemuSystemEmulator(_Emulator):
    """A whole machine in QEMU. The firmware transfers data by semihosting.

    Attributes:
        program: QEMU program, for example ``qemu-system-arm``.
        arguments: options that select machine and processor.
    """

    kind: Literal["qemu_system"]
    program: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name for reports."""
        return self.program

    @property
    def described(self) -> str:
        """Name and version for reports."""
        return described(self.program, (self.program,))

    def is_here(self) -> bool:
        """True if the emulator can be started."""
        return shutil.which(self.program) is not None


class QemuUserEmulator(_Emulator):
    """QEMU user mode: runs a statically linked Linux program for the target, built from the host's main file.

    Attributes:
        program: QEMU program, for example ``qemu-ppc``.
    """

    kind: Literal["qemu_user"]
    program: str

    @property
    def name(self) -> str:
        """Name for reports."""
        return self.program

    @property
    def described(self) -> str:
        """Name and version for reports."""
        return described(self.program, (self.program,))

    def is_here(self) -> bool:
        """True if the emulator can be started."""
        return shutil.which(self.program) is not None


class SimavrEmulator(_Emulator):
    """A simulated AVR in ``libsimavr``, driven by a program of this project. It counts cycles exactly.

    Attributes:
        mcu: name of the part in simavr, for example ``atmega2560``.
    """

    kind: Literal["simavr"]
    mcu: str

    @property
    def name(self) -> str:
        """Name for reports."""
        return "simavr"

    @property
    def described(self) -> str:
        """Name for reports; it tells no version."""
        return self.name

    def is_here(self) -> bool:
        """True if the driver program can be built."""
        return has_simavr()


class WasmtimeEmulator(_Emulator):
    """WebAssembly in the ``wasmtime`` wheel. It accesses the module's memory.

    Attributes:
        buffer_bytes: size of the buffer for counts and states that the harness exchanges; not part of the product.
    """

    kind: Literal["wasmtime"]
    buffer_bytes: int = Field(default=0x100000, gt=0, multiple_of=4)

    @property
    def name(self) -> str:
        """Name for reports."""
        return "wasmtime"

    @property
    def described(self) -> str:
        """Name and version for reports."""
        return f"wasmtime {importlib.metadata.version('wasmtime')}"

    def is_here(self) -> bool:
        """True if the module can be run."""
        return importlib.util.find_spec("wasmtime") is not None


class HostEmulator(_Emulator):
    """No emulator: the program runs on this machine."""

    kind: Literal["host"]

    @property
    def name(self) -> str:
        """Name for reports."""
        return "this machine"

    @property
    def described(self) -> str:
        """Name for reports; it tells no version."""
        return self.name

    def is_here(self) -> bool:
        """Always True."""
        return True


Emulator = UnicornEmulator | QemuSystemEmulator | QemuUserEmulator | SimavrEmulator | WasmtimeEmulator | HostEmulator


class Memory(_Table):
    """Memory of the emulated part.

    Attributes:
        flash_origin, flash_bytes, ram_origin, ram_bytes: addresses and sizes in bytes of the memory for code and data.
        stack_bytes: size of the stack, reserved at the start of the RAM.
        buffer_bytes: size of the buffer for counts and states that the harness exchanges; not part of the product.
    """

    flash_origin: int = Field(ge=0)
    flash_bytes: int = Field(gt=0)
    ram_origin: int = Field(ge=0)
    ram_bytes: int = Field(gt=0)
    stack_bytes: int = Field(default=4096, gt=0, multiple_of=16)
    buffer_bytes: int = Field(default=65536, gt=0, multiple_of=4)


class Clock(_Table):
    """Clock and cycles per instruction, for estimating latency.

    Attributes:
        hz: clock frequency of the core, Hz.
        cycles_per_instruction: lowest and highest number of cycles per instruction.
        reason: assumption behind these numbers.
    """

    hz: float = Field(gt=0)
    cycles_per_instruction: tuple[float, float]
    reason: str


class Target(_Table):
    """One target, with the fields of its TOML file.

    Attributes:
        name: name of the file, without ``.toml``.
        title: description for reports.
        start: selects the start code ``es_start_<start>.c``; empty if the target has an operating system.
        optimization: optimisation option of the compiler.
        defines: macros, for example ``ES_KERNEL=ES_KERNEL_PLAIN``.
        sources: additional runtime sources below ``firmware_export/runtime``, for example kernel variants.
        include_folders: additional include folders below ``firmware_export/runtime``.
        compilers: compilers, in order of preference.
        emulators: emulators, in order of preference.
        memory: memory of a bare machine.
        budgets: default budgets for ``edge-seq measure``.
        clock: clock for estimating latency.
        timeout_s: time limit for the first window in an emulator, seconds. Firmware that takes longer hangs.
        folder: folder of the file, searched for the start code and the linker script before those of the runtime.
        file: path of the file as it was given; empty for a target that was given by its name.
    """

    name: str
    title: str
    start: str = ""
    optimization: str = "-O2"
    defines: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    include_folders: tuple[str, ...] = ()
    compilers: tuple[CompilerChoice, ...] = ()
    emulators: tuple[Annotated[Emulator, Field(discriminator="kind")], ...] = Field(min_length=1)
    memory: Memory | None = None
    budgets: Budgets = Budgets()
    clock: Clock | None = None
    timeout_s: float = Field(default=30.0, gt=0)
    folder: Path = TARGETS_FOLDER
    file: str = ""

    @property
    def start_source(self) -> Path | None:
        """Start code of a bare machine, ``es_start_<start>.c``: beside the target's file, or of the runtime; None if
        there is none."""
        return self._beside_or_bare(f"es_start_{self.start}.c")

    @property
    def linker_script(self) -> Path:
        """Linker script of a bare machine: the one for its start code if it exists, else the common one."""
        return self._beside_or_bare(f"es_link_{self.start}.ld") or BARE_FOLDER / "es_link.ld"

    def _beside_or_bare(self, name: str) -> Path | None:
        return next((folder / name for folder in (self.folder, BARE_FOLDER) if (folder / name).is_file()), None)

    @model_validator(mode="after")
    def _bare_machines_are_whole(self) -> Target:
        bare = [emulator.kind for emulator in self.emulators if emulator.kind in ("unicorn", "qemu_system", "simavr")]
        if bare and (self.memory is None or not self.start):
            raise ValueError(f"an emulator of kind {bare[0]} needs start and the table [memory]")
        if not self.compilers and any(emulator.kind != "host" for emulator in self.emulators):
            raise ValueError("expected at least one table [[compilers]]")
        if self.start and self.start_source is None:
            starts = sorted(path.stem.removeprefix("es_start_") for path in BARE_FOLDER.glob("es_start_*.c"))
            raise ValueError(
                f"start {self.start!r}: there is no es_start_{self.start}.c beside the file; the runtime has {starts}"
            )
        return self


def target_names(folder: Path = TARGETS_FOLDER) -> tuple[str, ...]:
    """Names of all targets, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load_target(name: str, folder: Path = TARGETS_FOLDER) -> Target:
    """Read and check one target.

    Args:
        name: name of a file in the folder without ``.toml``, or path of a TOML file. Verifying runs the compilers and
            emulators that the file names.
        folder: folder of the targets that have a name.

    Raises:
        ConfigError: there is no such target (the message lists all), or its file is not valid (it names each key).

    >>> load_target("cortex_m4").title
    'Arm Cortex-M4F'
    """
    file = name if name.endswith(".toml") else ""
    path = Path(file) if file else folder / f"{name}.toml"
    if not path.is_file():
        raise ConfigError(
            f"target {name!r} does not exist. Targets: {', '.join(target_names(folder))}, or {ALL_TARGETS}. A target "
            "of your own is a TOML file; give its path"
        )
    name = path.stem
    try:
        content = load_toml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"target {name}: {path.name} cannot be read as TOML: {error}") from error
    try:
        return Target.model_validate({**content, "name": name, "folder": path.absolute().parent, "file": file})
    except ValidationError as error:
        raise ConfigError(f"target {name}: {path.name}: {problems_in(error, Target, top='file')}") from error


def choose_targets(
    names: list[str] | tuple[str, ...], folder: Path = TARGETS_FOLDER, *, timeout_s: float | None = None
) -> tuple[Target, ...]:
    """Load the named targets, each once, in the given order. ``all`` stands for every target that has a name.

    Args:
        names: names of targets, or paths of TOML files.
        folder: folder of the targets that have a name.
        timeout_s: time limit for the first window in an emulator, seconds; None for that of each target.

    Raises:
        ConfigError: see :func:`load_target`; or two targets have the same name.
    """
    wanted = [part for name in names for part in (target_names(folder) if name == ALL_TARGETS else (name,))]
    targets = [load_target(name, folder) for name in dict.fromkeys(wanted)]
    for target in targets:
        if sum(target.name == other.name for other in targets) > 1:
            raise ConfigError(f"targets {', '.join(wanted)}: two have the name {target.name!r}; rename a file")
    changes = {} if timeout_s is None else {"timeout_s": timeout_s}
    return tuple(target.model_copy(update=changes) for target in targets)


def options_of_files(targets: Sequence[Target]) -> tuple[str, ...]:
    """Options of a command that name these targets in their order, if one was given as a file; else none.

    >>> options_of_files([load_target("cortex_m4")])
    ()
    """
    if not any(target.file for target in targets):
        return ()  # their names are known from the results
    return tuple(word for target in targets for word in ("--target", target.file or target.name))


def find_target_compiler(target: Target, name: str | None = None) -> tuple[Compiler, CompilerChoice]:
    """Find a target's preferred compiler that is installed, or the one with the given name.

    Raises:
        MissingToolError: there is none; the message says what to install.
    """
    if not target.compilers:
        choices = [
            (compiler, CompilerChoice(name=compiler.name, program=compiler.name, install=""))
            for compiler in find_compilers()
        ]
        found = [choice for choice in choices if name in (None, choice[0].name)]
        if found:
            return found[0]
        raise MissingToolError(
            f"compiling for {target.name}: {name or 'C compiler'} not found on this machine. Install gcc or clang, or: "
            'pip install "edge-seq[compiler]"'
        )
    for choice in target.compilers:
        if name in (None, choice.name) and (compiler := choice.find()) is not None:
            return compiler, choice
    wanted = [choice for choice in target.compilers if name in (None, choice.name)] or list(target.compilers)
    raise MissingToolError(
        f"compiling for {target.name}: {name or ', '.join(choice.name for choice in wanted)} not found on this "
        f"machine. Install with: {', or '.join(choice.install for choice in wanted)}"
    )


def build_words(compiler: Compiler, choice: CompilerChoice, target: Target) -> str:
    """Name, version and options of a compiler from :func:`find_target_compiler`, for reports."""
    return " ".join((compiler.described, *choice.flags, target.optimization))


def find_emulator(target: Target, kind: str | None = None) -> Emulator:
    """Find a target's preferred emulator that is installed, or the one of the given kind.

    Raises:
        ConfigError: the target has no emulator of this kind.
        MissingToolError: none is installed; the message says what to install.
    """
    candidates = [emulator for emulator in target.emulators if kind in (None, emulator.kind)]
    if not candidates:
        kinds = ", ".join(emulator.kind for emulator in target.emulators)
        raise ConfigError(f"target {target.name} has no emulator of kind {kind!r}; it has: {kinds}")
    for emulator in candidates:
        if emulator.is_here():
            return emulator
    raise MissingToolError(
        f"running {target.name}: {', '.join(emulator.name for emulator in candidates)} not found on this machine. "
        f"Install with: {', or '.join(emulator.install for emulator in candidates)}"
    )
