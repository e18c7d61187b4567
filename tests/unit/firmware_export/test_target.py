"""Target files: their content, and the errors if they or their tools are missing or wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import firmware_export.toolchain.target as target_module
from edge_seq.support.errors import ConfigError
from firmware_export.toolchain.image import build_image
from firmware_export.toolchain.target import (
    MissingToolError,
    choose_targets,
    find_emulator,
    find_target_compiler,
    load_target,
    options_of_files,
    target_names,
)

BARE = """
title = "Some part"
start = "cortex_m"

[[compilers]]
name = "some-gcc"
program = "no-such-program-gcc"
install = "apt-get install gcc-some"

[[compilers]]
name = "some-wheel"
module = "no_such_module"
install = "pip install some"

[[emulators]]
kind = "unicorn"
architecture = "arm"
install = "pip install unicorn"

[[emulators]]
kind = "qemu_system"
program = "no-such-qemu"
arguments = ["-M", "some"]
install = "apt-get install qemu-some"

[memory]
flash_origin = 0
flash_bytes = 65536
ram_origin = 0x20000000
ram_bytes = 16384
"""


def write(folder: Path, text: str) -> Path:
    (folder / "some.toml").write_text(text)
    return folder


def test_every_file_of_the_folder_is_a_target() -> None:
    others = {"aarch64", "armhf", "atmega2560", "atmega328p", "host", "powerpc", "wasm32", "xtensa_lx106"}
    families = {f"cortex_m{number}" for number in (0, 3, 33, 4, 55, 7)} | {
        "riscv32imc",
        "riscv32imac",
        "riscv32imac_zb",
    }
    assert families | others == set(target_names())
    for target in choose_targets(["all"]):
        assert target.title
        assert all(choice.install for choice in target.compilers)
        assert all(emulator.install or emulator.kind == "host" for emulator in target.emulators)
    assert [target.name for target in choose_targets(["host", "cortex_m4", "host"])] == ["host", "cortex_m4"]


def test_one_file_is_a_target(tmp_path: Path) -> None:
    """One file is enough to add a target."""
    target = load_target("some", write(tmp_path, BARE))
    assert target.memory is not None
    assert (target.name, target.optimization, target.memory.stack_bytes) == ("some", "-O2", 4096)


def test_a_file_anywhere_is_a_target(tmp_path: Path) -> None:
    """Its start code and linker script may lie beside it; what is not there is the runtime's."""
    path = write(tmp_path, BARE.replace('"cortex_m"', '"mine"')) / "some.toml"
    with pytest.raises(ConfigError, match=r"target some: some\.toml: .*there is no es_start_mine\.c beside the file"):
        choose_targets([str(path)])
    (tmp_path / "es_start_mine.c").write_text("")
    (target,) = choose_targets([str(path)])
    assert (target.name, target.start_source) == ("some", tmp_path / "es_start_mine.c")
    assert target.linker_script.name == "es_link.ld"
    (tmp_path / "es_link_mine.ld").write_text("")
    assert target.linker_script == tmp_path / "es_link_mine.ld"
    options = options_of_files(choose_targets(["cortex_m4", str(path)]))
    assert options == ("--target", "cortex_m4", "--target", str(path))
    with pytest.raises(ConfigError, match=r"target '.*none\.toml' does not exist\. .* is a TOML file; give its path"):
        choose_targets([str(tmp_path / "none.toml")])


def test_two_targets_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cortex_m4.toml").write_text(BARE)
    with pytest.raises(ConfigError, match="two have the name 'cortex_m4'; rename a file"):
        choose_targets(["cortex_m4", str(tmp_path / "cortex_m4.toml")])


def test_a_time_limit_takes_precedence(tmp_path: Path) -> None:
    path = str(write(tmp_path, "timeout_s = 5\n" + BARE) / "some.toml")
    assert [one.timeout_s for one in choose_targets([path, "host"])] == [5, 30]
    assert [one.timeout_s for one in choose_targets([path, "host"], timeout_s=2)] == [2, 2]


def test_a_start_may_have_a_linker_script_of_its_own() -> None:
    assert load_target("atmega2560").linker_script.name == "es_link_avr.ld"
    assert load_target("riscv32imc").linker_script.name == "es_link.ld"


def test_an_unknown_target_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"target 'cortex_m5' does not exist\. Targets: .*cortex_m4.*host.*, or all"):
        choose_targets(["cortex_m5"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "some.toml cannot be read as TOML"),
        (BARE + "colour = 3\n", "memory.colour: unknown key"),
        (BARE.replace('start = "cortex_m"', 'start = "z80"'), r"no es_start_z80\.c beside .* has .*'cortex_m'"),
        (BARE.replace('start = "cortex_m"', ""), "an emulator of kind unicorn needs start and the table"),
        (BARE.replace('"qemu_system"', '"bochs"'), r"emulators\.1.*'bochs'"),
        (BARE.replace('program = "no-such-program-gcc"', ""), "expected either program or module"),
        ('title = "x"\nemulators = []\n', "emulators: Tuple should have at least 1 item"),
        (
            'title = "x"\n[[emulators]]\nkind = "qemu_user"\nprogram = "q"\ninstall = "i"\n',
            r"expected at least one table \[\[compilers\]\]",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_target("some", write(tmp_path, text))


def test_missing_tools_are_named_with_what_installs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target("some", write(tmp_path, BARE))
    with pytest.raises(
        MissingToolError, match=r"some-gcc, some-wheel not found .* apt-get install gcc-some, or pip ins"
    ):
        find_target_compiler(target)
    with pytest.raises(
        MissingToolError, match=r"some-wheel not found on this machine\. Install with: pip install some"
    ):
        find_target_compiler(target, "some-wheel")
    with pytest.raises(MissingToolError, match=r"no-such-qemu not found .* apt-get install qemu-some"):
        find_emulator(target, "qemu_system")
    with pytest.raises(ConfigError, match=r"target some has no emulator of kind 'host'; it has: unicorn, qemu_system"):
        find_emulator(target, "host")
    monkeypatch.setattr(target_module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingToolError, match=r"unicorn, no-such-qemu not found .* pip install unicorn, or apt-get"):
        find_emulator(target)
    monkeypatch.setattr(target_module, "has_simavr", lambda: False)
    with pytest.raises(
        MissingToolError, match=r"running atmega2560: simavr not found .* apt-get install libsimavr-dev"
    ):
        find_emulator(load_target("atmega2560"))
    monkeypatch.setattr(target_module, "find_compilers", lambda: ())
    with pytest.raises(MissingToolError, match=r"compiling for host: C compiler not found .*edge-seq\[compiler\]"):
        find_target_compiler(load_target("host"))


def test_compilers_are_found_by_program_or_module(tmp_path: Path) -> None:
    text = BARE.replace("no_such_module", "json").replace(
        'install = "pip install some"', 'arguments = ["x"]\ninstall = "i"'
    )
    compiler, choice = find_target_compiler(load_target("some", write(tmp_path, text)))
    assert compiler.command == (sys.executable, "-m", "json", "x")
    assert choice.name == "some-wheel"


def test_a_host_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="building an image for host: it is not a bare machine"):
        build_image([], tmp_path, load_target("host"))
