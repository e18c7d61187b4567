"""Sketches of the Arduino package, built by Arduino's builder for a Mega and run in simavr."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.conftest import Packaged
from tests.zoo import random_counts

HARDWARE = Path("/usr/share/arduino/hardware")
CTAGS = '"{cmd.path}" -u --language-force=c++ -f - --c++-kinds=svpf --fields=KSTtzns --line-directives "{source_file}"'
ARDUINO_HEADERS = Path(__file__).parents[1] / "device" / "headers" / "arduino"
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


# Of Arduino's headers, what the sketch needs besides tests/device/headers.
PORT = """
#include <Arduino.h>
struct Port : Stream {
    void begin(long) {}
    size_t write(const uint8_t *, size_t size) { return size; }
    int available() { return 0; }
    int read() { return -1; }
} Serial;
"""
EEPROM = """
#include <cstdint>
struct Eeprom {
    void get(int, uint32_t &value) { value = 0; }
    void put(int, uint32_t) {}
};
static Eeprom EEPROM;
"""


def test_the_board_sketch_gives_no_warning(folder: Path, gait: Packaged, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no c++ on this machine; apt-get install g++")
    libraries = folder / "arduino" / "libraries"
    (tmp_path / "EEPROM.h").write_text(EEPROM)
    sketch = (libraries / "edge_seq_gait" / "examples" / "board" / "board.ino").read_text()
    (tmp_path / "board.cpp").write_text(PORT + sketch)
    include = [
        f"-I{place}"
        for place in (tmp_path, ARDUINO_HEADERS, *(libraries / name / "src" for name in ("edge_seq", "edge_seq_gait")))
    ]
    command = ["c++", "-std=gnu++11", "-DARDUINO=10819", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include]
    done = subprocess.run([*command, str(tmp_path / "board.cpp")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# What the sketch needs of Arduino, on stdin and stdout.
ARDUINO = """
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
struct Port {
    int next = -2;
    void begin(long) {}
    operator bool() const { return true; }
    int available() { if (next == -2) next = getchar(); if (next == EOF) exit(0); return 1; }
    int read() { const int taken = next; next = -2; return taken; }
    void print(const char *text) { fputs(text, stdout); }
    void println(const char *text) { puts(text); }
} Serial;
"""
MAIN = """
int main() { setup(); for (;;) loop(); }
"""


def test_the_stream_sketch_finds_the_start_of_a_line_again(folder: Path, gait: Packaged, tmp_path: Path) -> None:
    """A lost number, letters and a number too many each cost their own line; the rest is the stream without them."""
    for program in ("cc", "c++"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine; apt-get install g++")
    libraries = folder / "arduino" / "libraries"
    places = [libraries / library / "src" for library in ("edge_seq", "edge_seq_gait")]
    sketch = (libraries / "edge_seq_gait" / "examples" / "stream" / "stream.ino").read_text()
    (tmp_path / "stream.cpp").write_text(ARDUINO + sketch + MAIN)
    include = [f"-I{place}" for place in places]
    sources = [str(path) for place in places for path in place.glob("*.c") if path.name != "es_wire.c"]
    objects, program = tmp_path / "objects", tmp_path / "stream"
    objects.mkdir()
    subprocess.run(["cc", "-std=c99", *include, "-c", *sources], cwd=objects, check=True)
    built = [
        "c++",
        "-Wall",
        "-Wextra",
        "-Werror",
        *include,
        str(tmp_path / "stream.cpp"),
        *map(str, objects.glob("*.o")),
    ]
    subprocess.run([*built, "-o", str(program)], check=True)

    def answers(lines: list[str], end: str = "\n") -> list[str]:
        text = end.join(lines) + end
        return subprocess.run(
            [str(program)], input=text, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    counts = random_counts(1, 60, 2, seed=4, sigma=600)[0]
    lines = [f"{first} {second}" for first, second in counts.tolist()]
    damaged = [*lines[:20], "17", *lines[20:31], "3 4 5", "", "x 1", *lines[31:40], "1 -", "5-3", *lines[40:]]
    expected = answers(lines)
    assert expected[0] == "gait: self-test passed"
    assert len(expected) == 61
    found = answers(damaged)
    assert found.count("a line is left out: it does not hold one count for each channel") == 5
    assert [line for line in found if not line.startswith("a line is left out")] == expected
    assert answers([line.replace(" ", ",") for line in lines], "\r\n") == expected
    assert answers(["99999 -99999"]) == answers(["32767 -32768"])
