"""Forests, boosted trees and other networks on the same windows and the same counter: what else could be taken.

    edge-seq demo --out runs/demo
    python -m tests.benchmarks.rivals runs/demo/rnn runs/demo/gru runs/demo/lstm --out docs/results/rivals.md

Give runs that were trained on the same data with the same split, an LSTM among them for the float LSTM. Forests and
networks learn from the windows that the runs learned from. Each classifier leaves ``NAME.json`` in the work folder, so
that an interrupted call goes on. emlearn is used if it is installed (``pip install emlearn``), onnx2c if ``--onnx2c``
gives its program, and CMSIS-NN if ``--cmsis-nn`` gives the folder of its repository.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_seq.compare.forest import votes_of
from edge_seq.data.recording import Windows
from edge_seq.data.statistics import integer_statistics
from edge_seq.data.windows import spread
from edge_seq.ir.kinds import Lstm
from edge_seq.pipeline.logits import int_logits
from edge_seq.pipeline.prepare import PreparedData, prepare
from edge_seq.scores.metrics import Estimate, accuracy, estimate_over_groups, macro_f1
from edge_seq.scores.paired import confusion_by_group
from edge_seq.support.drawing import plain_figures, save
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_result, save_json
from edge_seq.support.results import Result, written
from edge_seq.training.features import preprocessed_counts
from edge_seq.training.others.baselines import random_forest_baseline
from edge_seq.training.others.convolutional import convolutional_baseline
from edge_seq.workflow.folder import RunFolder, load_run_config, load_run_float, load_run_int, open_run
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.toolchain.target import Target, load_target
from tests.benchmarks.rivals import chip, cmsis_nn, features, networks, trees

Kind = Literal["edge_seq", "forest", "boosting", "float network", "int8 network", "reference"]
# Trees, and the most leaves of a tree (0: no limit, but at least four windows in a leaf).
FORESTS = ((10, 16), (30, 16), (10, 64), (30, 64), (100, 64), (30, 0))
BY_EMLEARN = ((10, 64), (30, 64))  # whose C is nearly that of this benchmark
BOOSTING = (10, 30, 100)  # rounds, one tree of depth 3 a class in each
MARKERS = {"edge_seq": "o", "forest": "^", "boosting": "v", "float network": "s", "int8 network": "D"}


@dataclass(frozen=True)
class Row(Result):
    """One classifier.

    Attributes:
        name: what it is.
        kind: family, for the plot.
        accuracy, macro_f1: on the test windows, with intervals over groups.
        same_labels: share of the windows run on the target that get the label of Python (of a host, for C that has no
            twin in Python); None if that is proven.
        chip: cost on the target; None if it was not put there.
    """

    name: str
    kind: Kind
    accuracy: Estimate
    macro_f1: Estimate
    same_labels: float | None
    chip: chip.ChipFigures | None = field(metadata=written())


@dataclass(frozen=True)
class Bench:
    """What all classifiers share.

    Attributes:
        data: windows of the runs.
        target: target to count on.
        work: folder of the results and of the builds.
        seen: indices of the test windows that are run on the target.
    """

    data: PreparedData
    target: Target
    work: Path
    seen: NDArray[np.int64]

    @property
    def test(self) -> Windows:
        """Windows that are scored."""
        assert self.data.test is not None
        return self.data.test

    def statistics(self, windows: Windows) -> NDArray[np.int16]:
        """Integer statistics of windows, int16 [B, S]."""
        return integer_statistics(preprocessed_counts(np.asarray(windows.counts), self.data.dataset.contract))

    def row(
        self, name: str, kind: Kind, labels: NDArray[np.integer], figures: chip.ChipFigures | None, same: float | None
    ) -> Row:
        """Score labels int [B] of the test windows."""
        test = self.test
        by_group = confusion_by_group(test.labels, labels, test.groups, len(self.data.dataset.labels))
        scores = estimate_over_groups(by_group, accuracy), estimate_over_groups(by_group, macro_f1)
        return Row(name, kind, *scores, same, figures)

    def counted(self, name: str, kind: Kind, program: str, labels: NDArray[np.integer], **options: Any) -> Row:
        """Build a program, run test windows on the target, and score labels int [B] that Python gives."""
        image = chip.build(program, self.work / name.replace(" ", "_"), self.target, **options)
        found, figures = chip.run(image, np.asarray(self.test.counts)[self.seen])
        same = float((found == labels[self.seen]).mean())
        return self.row(name, kind, labels, figures, same)


def ours(bench: Bench, run: RunFolder) -> Row:
    """The integer model of a run."""
    model = load_run_int(run)
    folder = bench.work / model.name
    counts = np.asarray(bench.test.counts)
    export_c(model, make_golden(model, counts[:1]), folder)
    found = measure(folder, model, bench.target, steps=len(bench.seen) * model.contract.window_length)
    assert found.sizes is not None
    assert found.steps is not None
    figures = chip.ChipFigures(
        int(found.steps.minimum.sum()),
        found.steps.window,
        int(found.steps.maximum.sum()),
        found.sizes.flash,
        found.sizes.ram,
        found.stack_bytes or 0,
        len(bench.seen),
    )
    cell = load_run_config(run).training.cell
    name = f"{cell.upper()} {model.hidden_sizes[0]}, edge_seq"
    return bench.row(name, "edge_seq", int_logits(model, counts).argmax(axis=1), figures, None)


def forest_of(bench: Bench, count: int, leaves: int) -> Any:
    """Train a forest on the integer statistics."""
    from sklearn.ensemble import RandomForestClassifier

    limits: dict[str, Any] = {"max_leaf_nodes": leaves} if leaves else {"min_samples_leaf": 4}
    forest = RandomForestClassifier(count, class_weight="balanced", random_state=0, n_jobs=1, **limits)
    return forest.fit(bench.statistics(bench.data.train), bench.data.train.labels)


def forest_name(count: int, leaves: int) -> str:
    """Name of a forest's row."""
    return f"forest {count} trees" + (f" of {leaves} leaves" if leaves else "")


def forest_row(bench: Bench, count: int, leaves: int, method: str | None) -> Row:
    """A forest, by emlearn's method or by the nested comparisons of this benchmark."""
    forest = forest_of(bench, count, leaves)
    program, include = (trees.forest_program(forest), []) if method is None else emlearn(forest, method)
    labels = votes_of(forest, bench.statistics(bench.test))
    name = forest_name(count, leaves) + ("" if method is None else f", emlearn {method}")
    text = features.statistics_program(bench.data.dataset.contract) + program
    return bench.counted(name, "forest", text, labels, include=include)


def emlearn(forest: Any, method: str) -> tuple[str, list[Path]]:
    """C by emlearn, and the folder of its headers."""
    program, folder = trees.emlearn_program(forest, method)
    return program, [Path(folder)]


def boosting_row(bench: Bench, rounds: int) -> Row:
    """Gradient boosting by nested comparisons; emlearn has none."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(n_estimators=rounds, max_depth=3, random_state=0)
    model.fit(bench.statistics(bench.data.train), bench.data.train.labels)
    labels = model.classes_[trees.boosted_scores(model, bench.statistics(bench.test)).argmax(axis=1)]
    text = features.statistics_program(bench.data.dataset.contract) + trees.boosting_program(model)
    return bench.counted(f"boosting {rounds} rounds", "boosting", text, labels)


def large_forest(bench: Bench) -> Row:
    """The baseline of a training, which is not put on a chip: 300 trees on quantiles and spectra too."""
    data = bench.data
    found = random_forest_baseline(data.train, bench.test, data.dataset.contract, len(data.dataset.labels), seed=0)
    return bench.row("forest 300 trees on all statistics, in Python", "reference", found.argmax(axis=1), None, None)


def float_lstm(bench: Bench, run: RunFolder, tool: Path) -> Row:
    """The float model of a run, by onnx2c."""
    from edge_seq.pipeline.logits import float_logits

    model = load_run_float(run)
    program = networks.onnx2c_program(
        tool, networks.lstm_graph(model), bench.work / "float_lstm", model.contract, model.number_format.normalisation
    )
    labels = float_logits(model, np.asarray(bench.test.counts)).argmax(axis=1)
    name = f"LSTM {model.hidden_sizes[0]} float, onnx2c"
    return bench.counted(name, "float network", program, labels, libraries=networks.LIBRARIES)


def float_convolutions(bench: Bench, run: RunFolder, tool: Path) -> Row:
    """The convolutional baseline with the options of a run, by onnx2c."""
    data, config = bench.data, load_run_config(run).training
    contract = data.dataset.contract
    result, found = convolutional_baseline(
        data.train, data.validation, bench.test, contract, len(data.dataset.labels), config
    )
    graph = networks.convolutional_graph(result.state_dict, contract)
    program = networks.onnx2c_program(tool, graph, bench.work / "float_cnn", contract, result.normalisation)
    return bench.counted(
        "two convolutions, dense 64, float, onnx2c", "float network", program, found.argmax(axis=1),
        libraries=networks.LIBRARIES,
    )  # fmt: skip


def int8_lstm(bench: Bench, run: RunFolder, folder: Path) -> Row:
    """The float model of a run, quantized after training, by CMSIS-NN. Its labels are those of the C on this host."""
    from edge_seq.pipeline.logits import float_logits

    model, counts = load_run_float(run), np.asarray(bench.test.counts)
    program = cmsis_nn.lstm_program(folder, model, np.asarray(bench.data.train.counts))
    include = [folder, folder / "Include"]
    labels = cmsis_nn.host_labels(program, bench.work / "int8_lstm", counts, include)
    of_float = float_logits(model, counts).argmax(axis=1)
    mine = int_logits(load_run_int(run), counts).argmax(axis=1)
    same, by_us = (100 * float((one == of_float).mean()) for one in (labels, mine))
    print(  # noqa: T201
        f"int8_lstm: label of the float model in {same:.1f} % of {len(labels)} windows, our integers {by_us:.1f} %"
    )
    name = f"LSTM {model.hidden_sizes[0]} int8, CMSIS-NN"
    return bench.counted(name, "int8 network", program, labels, include=include)


def jobs(
    bench: Bench, runs: Sequence[RunFolder], onnx2c: Path | None, cmsis: Path | None
) -> dict[str, Callable[[], Row]]:
    """Every classifier by the name of its file."""
    found: dict[str, Callable[[], Row]] = {f"ours_{run.path.name}": lambda run=run: ours(bench, run) for run in runs}
    for count, leaves in FORESTS:
        by_emlearn = trees.has_emlearn() and (count, leaves) in BY_EMLEARN
        for method in (None, "inline", "loadable") if by_emlearn else (None,):
            key = f"forest_{count}_{leaves}_{method or 'own'}"
            found[key] = lambda count=count, leaves=leaves, method=method: forest_row(bench, count, leaves, method)
    for rounds in BOOSTING:
        found[f"boosting_{rounds}"] = lambda rounds=rounds: boosting_row(bench, rounds)
    found["large_forest"] = lambda: large_forest(bench)
    if onnx2c is None and cmsis is None:
        return found
    lstm = next((run for run in runs if isinstance(load_run_float(run).layers[0], Lstm)), None)
    if lstm is None:
        option = "--cmsis-nn" if onnx2c is None else "--onnx2c"
        raise ConfigError(f"rivals: none of the runs is an LSTM, which {option} needs; give one, or leave it out")
    if onnx2c is not None:
        found["float_lstm"] = lambda: float_lstm(bench, lstm, onnx2c)
        found["float_cnn"] = lambda: float_convolutions(bench, lstm, onnx2c)
    if cmsis is not None:
        found["int8_lstm"] = lambda: int8_lstm(bench, lstm, cmsis)
    return found


def front(rows: Sequence[Row]) -> list[Row]:
    """Classifiers that no other beats in macro-F1 and instructions at once, the cheapest first."""
    on_chip = sorted((one for one in rows if one.chip is not None), key=lambda one: (_most(one), -one.macro_f1.value))
    best: list[Row] = []
    for one in on_chip:
        if not best or one.macro_f1.value > best[-1].macro_f1.value:
            best.append(one)
    return best


def _most(one: Row) -> int:
    return 0 if one.chip is None else one.chip.most


def draw(rows: Sequence[Row], path: Path, target: str) -> None:
    """Macro-F1 over instructions and over flash, as SVG; the line is the front."""
    from matplotlib.ticker import LogLocator

    on_chip = [one for one in rows if one.chip is not None]
    with plain_figures() as new_figure:
        figure = new_figure(figsize=(10, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        for kind, marker in MARKERS.items():
            of_kind = [one for one in on_chip if one.kind == kind and "loadable" not in one.name]
            if not of_kind:
                continue
            heights = [100 * one.macro_f1.value for one in of_kind]
            for axes, key in ((left, "most"), (right, "flash_bytes")):
                axes.scatter([getattr(one.chip, key) / 1000 for one in of_kind], heights, marker=marker, label=kind)
        line = front(rows)
        heights = [100 * one.macro_f1.value for one in line]
        left.plot([_most(one) / 1000 for one in line], heights, linewidth=0.8, color="grey")
        left.set_xlabel(f"most instructions of a window on {target}, thousands")
        right.set_xlabel("flash, kB")
        left.set_ylabel("macro-F1 on test windows, %")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        right.legend(fontsize="small")
        save(figure, path, dpi=100)


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown, the best macro-F1 first."""
    on_front = {one.name for one in front(rows)}
    lines = [
        "| classifier | accuracy | macro-F1 | instructions | most | flash | RAM | stack | same label | front |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(rows, key=lambda one: -one.macro_f1.value):
        cost = (
            ["-"] * 5
            if one.chip is None
            else [
                f"{value:,}"
                for value in (
                    one.chip.median, one.chip.most, one.chip.flash_bytes, one.chip.ram_bytes, one.chip.stack_bytes,
                )
            ]
        )  # fmt: skip
        same = "-" if one.chip is None else "proven" if one.same_labels is None else f"{100 * one.same_labels:.1f} %"
        cells = [one.name, str(one.accuracy), str(one.macro_f1), *cost, same, "x" if one.name in on_front else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the classifiers that have no result yet; write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs on the same data")
    parser.add_argument("--work", type=Path, required=True, help="folder for results and builds")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file of the table; the plot lies beside it")
    parser.add_argument("--target", default="cortex_m4")
    parser.add_argument("--windows", type=int, default=100, help="test windows to run on the target, spread evenly")
    parser.add_argument("--onnx2c", type=Path, help="program of onnx2c; without it no float network is measured")
    parser.add_argument("--cmsis-nn", type=Path, help="folder of CMSIS-NN's repository, for the LSTM in int8")
    parser.add_argument("--only", help="measure only files that begin like this, and write no table")
    given = parser.parse_args()
    runs = [open_run(path) for path in given.runs]
    configs = [load_run_config(run) for run in runs]
    if any(one.data != configs[0].data for one in configs):
        raise ConfigError("rivals: the runs have different data; give runs of one data set and one split")
    given.work.mkdir(parents=True, exist_ok=True)
    data = prepare(configs[0])
    if data.test is None:
        raise ConfigError("rivals: the split of the runs has no test part; give runs with one")
    bench = Bench(data, load_target(given.target), given.work.absolute(), spread(len(data.test.labels), given.windows))
    rows = []
    for key, job in jobs(bench, runs, given.onnx2c, given.cmsis_nn).items():
        kept = given.work / f"{key}.json"
        if not kept.is_file() and key.startswith(given.only or ""):
            save_json(kept, job())
            print(key, "done", flush=True)  # noqa: T201
        if kept.is_file():
            rows.append(load_result(kept, Row))
    if given.only is None:
        plot = given.out.with_suffix(".svg")
        draw(rows, plot, given.target)
        write_atomically(given.out, table(rows).encode())
        print(json.dumps([one.name for one in front(rows)]))  # noqa: T201


if __name__ == "__main__":
    main()
