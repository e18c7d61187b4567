"""AVR: constants stay in program memory, too large models are refused, and the simavr driver reports errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import firmware_export.running.simavr_machine as simavr_machine
from edge_seq.support.errors import ToolError
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.running.mail import Order, make_orders
from firmware_export.running.simavr_machine import SimavrAnswer, run_in_simavr
from firmware_export.toolchain import simavr_driver
from firmware_export.toolchain.elf import ElfImage
from firmware_export.toolchain.image import Image, build_image
from firmware_export.toolchain.target import MissingToolError, SimavrEmulator, Target, load_target
from tests.targets.running import Case
from tests.zoo import quantized_model, random_counts, spec

AVR = ("atmega2560", "atmega328p")
CONSTANTS = {
    "es_tanh_table": 1024,
    "lstm_car_layer0_weights": 16 * 4 * (2 * 4 + 4 * 4),  # units, gates, pairs and quads of columns
    "lstm_car_layer0_blocks": 16 * 24,
    "lstm_car_head_weights": 4 * 4 * 4,
    "lstm_car_head_blocks": 24,
    "lstm_car_pool_reciprocals": 2,
}


def image_of(folder: Path, output: Path, target: Target) -> Image:
    try:
        return build_image(folder, output, target)
    except MissingToolError as error:
        pytest.skip(str(error))


def emulator_of(target: Target) -> SimavrEmulator:
    (emulator,) = target.emulators
    assert isinstance(emulator, SimavrEmulator)
    if not emulator.is_here():
        pytest.skip(f"simavr is not on this machine; {emulator.install}")
    return emulator


def sections_of(elf: ElfImage, names: set[str]) -> dict[str, str]:
    return {name: elf.by_name[name].section for name in names}


@pytest.mark.parametrize("name", AVR)
def test_tables_and_weights_are_not_in_ram(name: str, cases: dict[str, Case], tmp_path: Path) -> None:
    target = load_target(name)
    elf = image_of(cases["lstm_car"].folder, tmp_path / "right", target).content
    assert {constant: elf.by_name[constant].size for constant in CONSTANTS} == CONSTANTS
    assert set(sections_of(elf, set(CONSTANTS)).values()) == {".rodata"}
    assert all(elf.by_name[constant].address + size <= 0x10000 for constant, size in CONSTANTS.items())
    in_ram = sum(section.size for section in elf.sections if section.name in (".data", ".bss"))
    assert in_ram < 512

    # Without the qualifier all of them are in RAM, so the sections show the difference.
    wrong = target.model_copy(update={"defines": ("ES_ROM=",)})
    if name == "atmega328p":
        with pytest.raises(ToolError, match=r"region `RAM' overflowed"):
            image_of(cases["lstm_car"].folder, tmp_path / "wrong", wrong)
    else:
        elf = image_of(cases["lstm_car"].folder, tmp_path / "wrong", wrong).content
        assert set(sections_of(elf, set(CONSTANTS)).values()) == {".data"}


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        ((60, 60, 60), r"end beyond the first 64 kB of the flash, .*; reduce hidden_size or the number of layers"),
        ((128,), r"large_layer0_weights.* is too large(.|\n)*no array beyond 32,767 bytes.* reduce hidden_size"),
    ],
)
def test_too_large_models_are_refused(hidden: tuple[int, ...], message: str, tmp_path: Path) -> None:
    model = quantized_model(spec("lstm", *hidden), name="large")
    export_c(model, make_golden(model, random_counts(1, 7, 3, sigma=500)), tmp_path / "large")
    with pytest.raises(ToolError, match=message):
        image_of(tmp_path / "large", tmp_path / "build", load_target("atmega2560"))


class Machine:
    """A built model, and orders for it."""

    def __init__(self, case: Case, folder: Path, *, keep: bool) -> None:
        self.target = load_target("atmega2560")
        self.emulator = emulator_of(self.target)
        self.image = image_of(case.folder, folder, self.target)
        self.orders: list[Order] = list(make_orders(self.image, case.model, case.counts[8:], mark="<", keep=keep))

    def run(self, timeout_s: float = 60.0) -> list[SimavrAnswer]:
        return run_in_simavr(self.image, self.emulator, self.orders, timeout_s=timeout_s)


def test_cycles_and_stack_of_steps(cases: dict[str, Case], tmp_path: Path) -> None:
    case = cases["gru_stream"]
    silent, kept = (Machine(case, tmp_path / str(keep), keep=keep).run() for keep in (False, True))
    assert len(silent) == 1
    assert silent[0].cycles == sum(answer.cycles for answer in kept)  # the harness is not counted
    steps = int(np.prod(case.counts[8:].shape[:2]))
    assert 4_000 < silent[0].cycles / steps < 40_000  # four units of a GRU on 8 bits
    assert silent[0].words == b""
    memory = load_target("atmega2560").memory
    assert memory is not None
    assert 40 < silent[0].stack_bytes == max(answer.stack_bytes for answer in kept) < memory.stack_bytes


def test_what_the_driver_cannot_do_is_said(cases: dict[str, Case], tmp_path: Path) -> None:
    machine = Machine(cases["gru_stream"], tmp_path, keep=True)
    with pytest.raises(ToolError, match=r"atmega2560 in simavr: not done after 0\.001 s(, in [^;]+)?; give more time"):
        machine.run(timeout_s=0.001)
    machine.emulator = machine.emulator.model_copy(update={"mcu": "z80"})
    with pytest.raises(ToolError, match=r"atmega2560 in simavr: .*\nz80 cannot be emulated"):
        machine.run()

    driver = machine.image.elf.with_name("es_simavr")
    driver.write_text("#!/bin/sh\ntouch es_out.bin\n")
    with pytest.raises(ToolError, match=r"in simavr: the driver delivered 0 bytes, expected \d+; build it again"):
        machine.run()
    driver.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ToolError, match=r"in simavr: exit code 3"):
        machine.run()
    driver.chmod(0o600)
    with pytest.raises(ToolError, match=r"es_simavr cannot be started \(.*\); apt-get install libsimavr-dev"):
        machine.run()


def test_a_core_that_runs_away_is_said_with_its_place(cases: dict[str, Case], tmp_path: Path) -> None:
    case = next(one for one in cases.values() if one.model.readout.pooling == "mean")
    folder = Path(shutil.copytree(case.folder, tmp_path / "export"))
    source = folder / "runtime" / "src" / "es_pool.c"
    source.write_text(
        source.read_text().replace("    const es_model_t", "    *(volatile char *)0xFFFF = 1;\n    const es_model_t")
    )
    assert "0xFFFF" in source.read_text()
    machine = Machine(Case(case.model, folder, case.counts, case.expected), tmp_path / "build", keep=True)
    with pytest.raises(ToolError, match=r"in simavr: the core stopped at es_pool_mean\+0x"):
        machine.run()


def test_a_machine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler() -> None:
        raise ToolError("no compiler")

    monkeypatch.setattr(simavr_driver, "find_compiler", no_compiler)
    assert simavr_driver.has_simavr.__wrapped__() is False
    assert simavr_machine.SimavrEmulator(kind="simavr", mcu="atmega2560", install="i").name == "simavr"
