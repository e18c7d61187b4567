"""Sketches of the Arduino package, built by Arduino's builder for a Mega and run in simavr."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.conftest import Packaged

HARDWARE = Path("/usr/share/arduino/hardware")
CTAGS = '"{cmd.path}" -u --language-force=c++ -f - --c++-kinds=svpf --fields=KSTtzns --line-directives "{source_file}"'
PREFERENCES = {
    "runtime.tools.avr-gcc.path": "/usr",
    "runtime.tools.avrdude.path": "/usr",
    "compiler.cpp.extra_flags": "-DDECIMAL_DIG=9",  # which avr-gcc 5.4 lacks in C++
    "tools.ctags.cmd.path": "/usr/bin/arduino-ctags",
    "tools.ctags.pattern": CTAGS,
}
BOTH = """
#include <car.h>
#include <car_golden.h>
#include <gait.h>
#include <gait_golden.h>

static car_memory_t car;
static gait_memory_t gait;

void setup()
{
    Serial.begin(115200);
    Serial.println(es_self_test(&car_golden, &car, sizeof car, NULL) == ES_OK ? "car holds" : "car fails");
    Serial.println(es_self_test(&gait_golden, &gait, sizeof gait, NULL) == ES_OK ? "gait holds" : "gait fails");
    Serial.println("done");
}

void loop()
{
}
"""


def build(sketch: Path, libraries: Path, folder: Path) -> tuple[Path, str]:
    """Build a sketch; returns the program, and what the compiler says of files that are not Arduino's own."""
    for program in ("arduino-builder", "arduino-ctags", "avr-gcc"):
        if shutil.which(program) is None or not HARDWARE.is_dir():
            pytest.skip("apt-get install arduino-builder arduino-core-avr arduino-ctags gcc-avr avr-libc")
    folder.mkdir()
    places = ("-hardware", HARDWARE, "-hardware", "/usr/share/arduino-builder", "-tools", "/usr/bin")
    command = [
        *("arduino-builder", "-compile", *places, "-libraries", libraries, "-fqbn", "arduino:avr:mega:cpu=atmega2560"),
        *("-warnings", "all", "-build-path", folder, *(f"-prefs={key}={value}" for key, value in PREFERENCES.items())),
        sketch,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    own = re.sub(rf"^{HARDWARE}.*\n(?: .*\n)*", "", done.stderr, flags=re.MULTILINE)
    return folder / f"{sketch.name}.elf", own


def printed(program: Path, last: str) -> list[str]:
    """Lines on the serial port until the last one."""
    if shutil.which("simavr") is None:
        pytest.skip("apt-get install simavr")
    lines: list[str] = []
    command = ["simavr", "-m", "atmega2560", "-f", "16000000", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            text = re.sub(r"\x1b\[\d*m", "", line).strip()
            if text.endswith(".."):  # simavr shows the line's end so
                lines.append(text.removesuffix(".."))
            if lines and lines[-1] == last:
                break
        running.terminate()
    return lines


def test_two_models_in_a_sketch(folder: Path, tmp_path: Path) -> None:
    sketch = tmp_path / "both" / "both.ino"
    sketch.parent.mkdir()
    sketch.write_text(BOTH)
    program, warnings = build(sketch, folder / "arduino" / "libraries", tmp_path / "build")
    assert warnings == ""
    assert printed(program, "done") == ["car holds", "gait holds", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["car", "gait"])
@pytest.mark.parametrize("sketch", ["replay", "stream", "board"])
def test_sketches(sketch: str, which: str, folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    packaged = {"car": car, "gait": gait}[which]
    libraries = folder / "arduino" / "libraries"
    source = libraries / f"edge_seq_{which}" / "examples" / sketch / f"{sketch}.ino"
    program, warnings = build(source, libraries, tmp_path / "build")
    assert warnings == ""
    if sketch == "replay":
        assert printed(program, packaged.replay[-1]) == packaged.replay
    elif sketch == "stream":
        assert printed(program, packaged.replay[0]) == packaged.replay[:1]
