"""How the cost of a window grows with hidden units, window length and channels: every point built and counted.

    python -m tests.benchmarks.growth --work build/growth --out docs/results/growth.md

Each point leaves a file in the work folder, with a hash of its sources. An interrupted call goes on, and a point whose
sources have not changed is not counted again. The plot lies beside the page.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_seq.ir.kind_names import CellName
from edge_seq.support.drawing import plain_figures, save
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.measuring.reference_models import CELLS, Shape, reference_counts, reference_model
from firmware_export.toolchain.sources import hash_of_sources
from firmware_export.toolchain.target import load_target

TARGETS = {"cortex_m4": "-", "cortex_m0": "--"}
COLOURS: dict[CellName, str] = {"lstm": "#0072B2", "gru": "#009E73", "rnn": "#D55E00"}
UNITS, LENGTHS, CHANNELS = (8, 16, 32, 64, 128), (25, 50, 100, 200), (3, 6, 9)
BASE = Shape(3, 32, 50, 4)
AXES = {
    "hidden units": tuple(Shape(3, units, 50, 4) for units in UNITS),
    "samples of a window": tuple(Shape(3, 32, length, 4) for length in LENGTHS),
    "channels": tuple(Shape(channels, 32, 50, 4) for channels in CHANNELS),
}


@dataclass(frozen=True)
class Point(Result):
    """A counted model.

    Attributes:
        target, cell: what was measured.
        shape: C, H, T.
        macs: multiply-accumulates of a window.
        least, most: instructions of a window.
        flash_bytes, ram_bytes: of the linked image.
        sources: see ``hash_of_sources``.
    """

    target: str
    cell: CellName
    shape: tuple[int, int, int]
    macs: int
    least: int
    most: int
    flash_bytes: int
    ram_bytes: int
    sources: str


def counted(target_name: str, cell: CellName, shape: Shape, kept: Path) -> Point:
    """Build and count one model of four windows, unless the kept point is of the same sources."""
    model, target = reference_model("car", cell, shape=shape), load_target(target_name)
    with tempfile.TemporaryDirectory() as folder:
        export_c(model, make_golden(model, reference_counts(shape, windows=1)), Path(folder))
        sources = hash_of_sources(Path(folder), target)
        if kept.is_file() and (old := load_result(kept, Point)).sources == sources:
            return old
        found = measure(Path(folder), model, target, steps=3 * shape.time_steps)
    assert found.sizes is not None
    assert found.steps is not None
    least, most = (int(one.sum()) for one in (found.steps.minimum, found.steps.maximum))
    size = (shape.input_size, shape.hidden_size, shape.time_steps)
    macs, sizes = shape.macs(cell), found.sizes
    point = Point(target_name, cell, size, macs, least, most, sizes.flash, sizes.ram, sources)
    save_json(kept, point)
    return point


def points(work: Path) -> list[Point]:
    """Every point once, those first that have no file yet."""
    asked = []
    for target in TARGETS:
        for shape in dict.fromkeys(shape for of_axis in AXES.values() for shape in of_axis):
            for cell in CELLS:
                kept = work / f"{target}_{cell}_{shape.input_size}_{shape.hidden_size}_{shape.time_steps}.json"
                asked.append((target, cell, shape, kept))
    return [counted(*one) for one in sorted(asked, key=lambda one: one[-1].is_file())]


def _along(every: Sequence[Point], axis: str, target: str, cell: CellName) -> list[tuple[int, Point]]:
    """Points of a line, with the value of the axis."""
    place = ("channels", "hidden units", "samples of a window").index(axis)
    shapes = [(one.input_size, one.hidden_size, one.time_steps) for one in AXES[axis]]
    of_line = {one.shape: one for one in every if (one.target, one.cell) == (target, cell)}
    return [(shape[place], of_line[shape]) for shape in shapes if shape in of_line]


def draw(every: Sequence[Point], path: Path) -> None:
    """Instructions over each axis, as SVG."""
    with plain_figures() as new_figure:
        figure = new_figure(figsize=(10.5, 4.2), layout="constrained")
        for axes, axis in zip(figure.subplots(1, 3, sharey=True), AXES, strict=True):
            for target, line in TARGETS.items():
                for cell, colour in COLOURS.items():
                    found = _along(every, axis, target, cell)
                    axes.plot(
                        [at for at, _ in found], [one.most for _, one in found],
                        color=colour, linestyle=line, marker="o", markersize=3, label=f"{cell}, {target}",
                    )  # fmt: skip
            axes.set_yscale("log")
            if axis != "channels":
                axes.set_xscale("log", base=2)
            axes.set_xticks([at for at, _ in _along(every, axis, "cortex_m4", "lstm")])
            axes.xaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
            axes.set_xlabel(axis)
            axes.grid(alpha=0.3)
        figure.axes[0].set_ylabel("instructions of a window")
        figure.axes[0].yaxis.set_major_formatter("{x:,.0f}")
        figure.axes[0].legend(fontsize="x-small", handlelength=5)
        save(figure, path, dpi=100)


def page(every: Sequence[Point], plot: str) -> str:
    """The page: the plot, and a table for each axis."""
    parts = []
    for axis in AXES:
        rows = []
        for target in TARGETS:
            for cell in CELLS:
                found = _along(every, axis, target, cell)
                rows.append(
                    f"| {target} | {cell} | "
                    + " | ".join(f"{one.most:,} ({one.most / one.macs:.2f})" for _, one in found)
                    + " |"
                )
        values = [str(at) for at, _ in _along(every, axis, "cortex_m4", "lstm")]
        head = f"| target | cell | {' | '.join(values)} |\n|{'---|' * (len(values) + 2)}\n"
        parts.append(f"## By {axis}\n\n{head}" + "\n".join(rows) + "\n")
    same = all(one.least == one.most for one in every if one.target == "cortex_m4")
    constant = "the same for each window (minimum = maximum)" if same else "NOT the same for each window"
    return (
        "# Growth\n\n"
        "Written by `python -m tests.benchmarks.growth --work build/growth --out docs/results/growth.md`; do not\n"
        "edit. Instructions of one window, gravity filter, head and arg-max included, and in parentheses instructions\n"
        "for each multiply-accumulate. Each point is a model of its own, built and counted. Where an axis does not\n"
        "vary, it is 3 channels, 32 units, 50 samples. Three windows were counted. On the Cortex-M4 the count is\n"
        f"{constant}; on the Cortex-M0 it is the largest.\n\n"
        f"![Instructions of a window over hidden units, samples and channels]({plot})\n\n" + "\n".join(parts)
    )


def main() -> None:
    """Count the points that have no result yet; write page and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    every = points(given.work)
    plot = given.out.with_suffix(".svg")
    draw(every, plot)
    write_atomically(given.out, page(every, plot.name).encode())


if __name__ == "__main__":
    main()
