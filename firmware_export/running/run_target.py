"""Build exported models for a target, run them in its emulator, and convert the output to a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ToolError
from firmware_export.emission.words import require_same_model, require_usable_counts, trace_of_words, word_columns
from firmware_export.running.mail import MAIL_BYTES, Order, make_orders, open_answer, order_mark
from firmware_export.running.qemu_machine import run_in_qemu
from firmware_export.running.simavr_machine import run_in_simavr
from firmware_export.running.unicorn_machine import UnicornMachine
from firmware_export.running.wasm_machine import run_in_wasm
from firmware_export.toolchain.host import HostProgram, build_host, run_on_host
from firmware_export.toolchain.image import Image, build_image
from firmware_export.toolchain.target import (
    Emulator,
    HostEmulator,
    QemuSystemEmulator,
    QemuUserEmulator,
    SimavrEmulator,
    Target,
    UnicornEmulator,
    WasmtimeEmulator,
    build_words,
    find_emulator,
    find_target_compiler,
)
from firmware_export.toolchain.wasm_module import WasmModule, build_wasm


@dataclass(frozen=True)
class TargetProgram:
    """Exported models built for a target, ready to run.

    Attributes:
        target: target that it was built for.
        emulator: emulator that runs it.
        compiler: name, version and options of the compiler that built it.
        built: image for a bare machine, program for an operating system, or WebAssembly module.
    """

    target: Target
    emulator: Emulator
    compiler: str
    built: Image | HostProgram | WasmModule

    @property
    def detail(self) -> str:
        """Compiler and emulator, for a report."""
        return f"built with {self.compiler}, run in {self.emulator.described}"


def build_for_target(
    folders: Path | Sequence[Path],
    output_folder: Path,
    target: Target,
    *,
    compiler: str | None = None,
    emulator: str | None = None,
    traced: bool = False,
    stack_figures: bool = False,
) -> TargetProgram:
    """Compile exported models for a target, with its first compiler and emulator that are installed.

    Args:
        folders: export folders, written by :func:`firmware_export.emission.emit.export_c`.
        output_folder: folder for the files that are built.
        target: target from :func:`firmware_export.toolchain.target.load_target`.
        compiler: name of one of the target's compilers; None takes the preferred one.
        emulator: kind of one of the target's emulators; None takes the preferred one.
        traced: build with the hook that records every gate.
        stack_figures: see :func:`firmware_export.toolchain.image.build_image`; no effect for a program of an operating
            system.

    Raises:
        MissingToolError: a compiler or an emulator is missing; the message says what to install.
        ToolError, ExportError: see :func:`firmware_export.toolchain.image.build_image`.
    """
    chosen = find_emulator(target, emulator)
    tool, choice = find_target_compiler(target, compiler)
    words = build_words(tool, choice, target)
    match chosen:
        case UnicornEmulator() | QemuSystemEmulator() | SimavrEmulator():
            image = build_image(
                folders,
                output_folder,
                target,
                compiler=compiler,
                traced=traced,
                semihosted=isinstance(chosen, QemuSystemEmulator),
                stack_figures=stack_figures,
            )
            return TargetProgram(target, chosen, words, image)
        case WasmtimeEmulator():
            module = build_wasm(folders, output_folder, target, chosen, compiler=compiler, traced=traced)
            return TargetProgram(target, chosen, words, module)
        case QemuUserEmulator() | HostEmulator():
            flags = ["-std=c99", target.optimization, *choice.flags, *(f"-D{define}" for define in target.defines)]
            program = build_host(
                folders,
                output_folder / "program",
                compiler=tool,
                flags=[*flags, *choice.link_flags],
                emulator=(chosen.program,) if isinstance(chosen, QemuUserEmulator) else (),
                traced=traced,
            )
            return TargetProgram(target, chosen, words, program)
        case unreachable:
            assert_never(unreachable)


def run_on_target(
    program: TargetProgram, model: IntModel, counts: NDArray[np.int16], *, timeout_s: float = 600.0
) -> Trace:
    """Run each stream or window from a reset, as :func:`firmware_export.toolchain.host.run_on_host` does on the host.

    Args:
        program: program from :func:`build_for_target`.
        model: model to run; its hash must equal the hash in the program.
        counts: raw counts, int16 [B, T, C]. T may be any length; windows follow each other.
        timeout_s: time limit for one call of the emulator, seconds.

    Returns:
        Trace of int64 arrays [B, T, N], named as in ``trace_names``; without gates unless the build is traced.

    Raises:
        ParityError: the program contains another model (a stale export), or the counts do not fit.
        ToolError: the firmware faults, or the emulator fails.
    """
    if isinstance(program.built, HostProgram):
        return run_on_host(program.built, model, counts, timeout_s=timeout_s)
    image, where = program.built, program.target.name
    require_usable_counts(model, counts, image.names, where=where)
    mark = "<" if isinstance(image, WasmModule) else order_mark(image.content.byte_order)
    orders = list(make_orders(image, model, counts, mark=mark))
    answers: Iterable[tuple[bytes, bytes]]
    match program.emulator, image:
        case UnicornEmulator() as emulator, Image():
            answers = _run_in_unicorn(image, emulator, orders, timeout_s)
        case QemuSystemEmulator() as emulator, Image():
            answers = run_in_qemu(image, emulator, orders, mark=mark, timeout_s=timeout_s)
        case SimavrEmulator() as emulator, Image():
            ran = run_in_simavr(image, emulator, orders, timeout_s=timeout_s)
            answers = [(answer.head, answer.words) for answer in ran]
        case WasmtimeEmulator() as emulator, WasmModule():
            answers = run_in_wasm(image, emulator, orders, timeout_s=timeout_s)
        case _:
            raise ToolError(f"running {model.name} on {where}: an image does not run in {program.emulator.name}")
    rows = []
    for answer, raw in answers:
        found = open_answer(answer, model, traced=image.traced, mark=mark, where=where)
        require_same_model(model, found, where=where)
        rows.append(np.frombuffer(raw, dtype=f"{mark}i4").astype(np.int32))
    _, row_words = word_columns(model, traced=image.traced)
    return trace_of_words(model, np.concatenate(rows).reshape(*counts.shape[:2], row_words), traced=image.traced)


def require_answer(program: TargetProgram, model: IntModel) -> None:
    """Run one window and one sample more, so that firmware that hangs is reported soon.

    Raises:
        ToolError: it takes longer than the target's ``timeout_s``, or fails; the message names the function that runs.
    """
    counts = np.zeros((1, model.contract.window_length + 1, model.num_channels), dtype=np.int16)
    run_on_target(program, model, counts, timeout_s=program.target.timeout_s)


def _run_in_unicorn(
    image: Image, emulator: UnicornEmulator, orders: Sequence[Order], timeout_s: float
) -> Iterator[tuple[bytes, bytes]]:
    """Yield, for each order, the mailbox fields of its answer and the words after them."""
    machine = UnicornMachine(image, emulator)
    head, buffer = (machine.elf.address_of(name) for name in ("es_mail", "es_mail_buffer"))
    for order in orders:
        machine.write(head, order.head)
        machine.write(buffer, order.counts)
        machine.resume(timeout_s=timeout_s)
        yield machine.read(head, MAIL_BYTES), machine.read(buffer + order.words_offset, order.word_bytes)
