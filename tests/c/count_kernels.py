"""Instructions of one window on emulated parts, exactly, and where they go: the figures of KERNELS.md.

    python -m tests.c.count_kernels m4 lstm_car gru_car --functions
    python -m tests.c.count_kernels            (everything that KERNELS.md states)

Counted are all steps of a window with preprocessing, head and label, by a plugin for QEMU. Instructions are not cycles:
flash wait states, the cost of loads and dual issue are not in them; they are the same in every run on every machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge_seq.errors import ToolError
from edge_seq.ir.model import IntModel, deployed_bytes
from firmware_export.build import compile_c, find_compiler
from firmware_export.emit import export_c
from firmware_export.golden import make_golden
from tests.c.cortex_m import PARTS, build_firmware, missing_tools, run_firmware
from tests.zoo import Spec, quantized_model, random_counts, spec

HERE = Path(__file__).parent
SHAPES: dict[str, Spec] = {
    **{f"{cell}_car": spec(cell, 32, window_length=50) for cell in ("lstm", "gru", "rnn")},
    "lstm_har": spec("lstm", 32, channels=9, classes=6, window_length=128),
    "lstm_big": spec("lstm", 64, channels=6, classes=6, window_length=100),
}
STATED = [
    *(("m4", shape) for shape in SHAPES),
    *(("m3", f"{cell}_car") for cell in ("lstm", "gru", "rnn")),
    *(("m0", f"{cell}_car") for cell in ("lstm", "gru", "rnn")),
    *(("m55", f"{cell}_car") for cell in ("lstm", "gru", "rnn")),
    ("m55", "lstm_har"),
]


@dataclass(frozen=True)
class Count:
    """What a window takes.

    Attributes:
        instructions: of one window.
        by_function: the same by function, most first.
        code_bytes: flash of the image but for the harness, the weights and the golden data.
        context_bytes: of the caller's memory.
        stack_bytes: used by the steps of a window.
    """

    instructions: int
    by_function: dict[str, int]
    code_bytes: int
    context_bytes: int
    stack_bytes: int


def model_of(name: str) -> IntModel:
    """The model of a shape, with random weights: what a step takes depends on the sizes alone (not so in plain C)."""
    return quantized_model(SHAPES[name], name=name, seed=1)


def _symbols(image: Path) -> list[tuple[int, int, str]]:
    """Address, size and name, sorted."""
    text = subprocess.run(["arm-none-eabi-nm", "-S", str(image)], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return sorted((int(r[0], 16) & ~1, int(r[1], 16), r[3]) for r in rows if len(r) == 4)


def _plugin(folder: Path) -> Path:
    flags = ["-std=c99", "-O2", "-shared", "-fPIC"]
    return compile_c(find_compiler(), [HERE / "count_plugin.c"], folder / "count_plugin.so", flags=flags)


def count(part: str, model: IntModel, folder: Path, *, flags: tuple[str, ...] = ("-O3",)) -> Count:
    """Build a model for a part, run two windows of it and count the second.

    Raises:
        ToolError: where a compiler fails or is missing.
    """
    export_c(
        model, make_golden(model, random_counts(1, model.contract.window_length, model.input_size)), folder / "export"
    )
    (folder / "count_model.h").write_text(
        f'#include "{model.name}.h"\n#define COUNT_MODEL {model.name}_model\n'
        f"#define COUNT_MEMORY {model.name}_memory_t\n"
        f"#define COUNT_STEPS {model.contract.window_length}u\n#define COUNT_CHANNELS {model.input_size}u\n"
    )
    image = build_firmware(
        PARTS[part],
        [HERE / "count_main.c", folder / "export" / f"{model.name}.c"],
        folder / "firmware.elf",
        include_folders=[folder, folder / "export"],
        flags=flags,
    )
    symbols = _symbols(image)
    address = {name: start for start, _, name in symbols}
    output = folder / "counts.txt"
    markers = f"begin={address['count_begin']},end={address['count_end']},out={output}"
    said = run_firmware(PARTS[part], image, "-plugin", f"{_plugin(folder)},{markers}")
    by_function: Counter[str] = Counter()
    starts = [start for start, _, _ in symbols]
    for line in output.read_text().splitlines():
        where, times = line.split()
        by_function[symbols[bisect_right(starts, int(where, 16)) - 1][2]] += int(times)
    runtime = sum(size for _, size, name in symbols if name.startswith("es_") and not name.startswith("es_port"))
    memory = {name: size for _, size, name in symbols}["memory"]
    return Count(sum(by_function.values()), dict(by_function.most_common()), runtime, memory, int(said))


def main() -> None:
    """Print a line for each part and shape asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="default: all that KERNELS.md states")
    parser.add_argument("shapes", nargs="*", metavar="shape", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--flag", action="append", help="for the compiler instead of -O3; give it as --flag=-Os")
    parser.add_argument("--functions", action="store_true", help="also say where the instructions go")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.shapes) - set(SHAPES))
    if unknown:
        parser.error(f"there is no shape {', '.join(unknown)}; choose of {', '.join(SHAPES)}")
    if missing_tools():
        raise ToolError(f"counting instructions: {missing_tools()}")
    wanted = [(arguments.part, shape) for shape in arguments.shapes or SHAPES] if arguments.part else STATED
    sys.stdout.write("part  shape       instructions  code+tables  context  stack  weights (bytes)\n")
    for part, shape in wanted:
        model = model_of(shape)
        with tempfile.TemporaryDirectory() as folder:
            found = count(part, model, Path(folder), flags=tuple(arguments.flag or ("-O3",)))
        sys.stdout.write(
            f"{part:5} {shape:11} {found.instructions:12,}  {found.code_bytes:11,}  {found.context_bytes:7,}  "
            f"{found.stack_bytes:5,}  {deployed_bytes(model):7,}\n"
        )
        if arguments.functions:
            for name, times in found.by_function.items():
                sys.stdout.write(f"{'':18}{times:12,}  {name}\n")


if __name__ == "__main__":
    main()
