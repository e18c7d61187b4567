"""A head that learns, on hapt: subjects that a model has not seen, before and after some labelled windows.

    python -m tests.benchmarks.adapting --work build/adapting --out docs/results/adapting.md

Trains four small models: one for each of three folds of the training subjects, on which the rule was chosen, and one on
all training subjects, for the test subjects. Each leaves its files in the work folder, so that an interrupted run goes
on. It needs torch and the recordings of hapt.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edge_seq as es
from edge_seq.backends.adapt import DEFAULT_EXAMPLES
from edge_seq.data.recording import Windows, select_windows
from edge_seq.ir.model import IntModel
from edge_seq.ir.serialize import load_float_model, load_int_model, save_model
from edge_seq.pipeline.adapting.lessons import DRAWS, Adaptation, AdaptedGroup, score_lessons
from edge_seq.pipeline.config import load_config
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.scores.evaluation import BY_GROUP
from edge_seq.scores.metrics import Estimate
from edge_seq.scores.paired import PairedScore
from edge_seq.support.files import write_atomically
from edge_seq.support.json_tables import load_result, save_json
from tests.adapt.cost import learning_cost

RECIPE = Path("datasets/recipes/hapt.toml")
FOLDS = 3
TEST = "test"
EPOCHS = 8
LESSONS = (5, 10, 20)
WORST = ("4", "9")
PAGE = """# A head that learns

What [a few labelled windows](../how-to/adapt-on-the-device.md) of a person bring on [hapt](../../datasets/hapt.md), for
people that the model has not seen. `python -m tests.benchmarks.adapting --work build/adapting --out
docs/results/adapting.md` makes this page.

Models: the recipe of hapt (LSTM, 32 units) with {epochs} epochs on windows every 64 samples, so weaker than the recipe
itself. One for each of three folds of the 21 training subjects, by which the rule was chosen; and one on half of the
windows of all training subjects, for the 9 test subjects, by which nothing was chosen. Each subject: so many windows at
random are labelled, and the others scored, but for those that overlap a labelled one; mean of {draws} draws, room for
{examples} examples. In the columns of wrong labels each label is wrong with a probability of 10 %. Intervals are 95 %,
from resampling subjects; the lowest third are the subjects whose accuracy was lowest before.

| subjects | labelled windows | before | after | difference | difference with wrong labels | \
lowest third: before / after / with wrong labels | subjects that lose more than 0.5 points |
|---|---|---|---|---|---|---|---|
{rows}

{worst}

## Each subject

Accuracy in percent: before; after so many labelled windows / the same with 10 % wrong labels.

| subjects | subject | windows | before | 5 | 10 | 20 |
|---|---|---|---|---|---|---|
{subjects}

## Cost

Model of the first fold (32 values, 6 classes), {examples} examples, on an emulated Cortex-M4:

| | |
|---|---|
| instructions at a sample with a label, model of the factory | {label:,} |
| with a head that has learned nothing | {empty:,} |
| with {examples} examples | {full:,} |
| instructions of a lesson | {lesson:,} |
| RAM, with the copy of the model's numbers (bytes) | {ram:,} |
| flash of learning and correcting (bytes) | {flash:,} |

Samples without a label cost nothing more. Firmware without `es_adapt` has the instructions that it had before, and four
bytes more of flash for each decision stage.

## What was tried

On the training part alone, with models trained even more briefly (every other window), 7 to 21 subjects, 4 to 6
draws, by scripts that are not kept. Accuracy over all subjects before, and after 20 labelled windows:

| rule | before | after | after, 10 % wrong labels |
|---|---|---|---|
| perceptron on the head's weights, step half of the state, no margin | 86.3 | 84.9 | 83.8 |
| the same, an eighth | 86.3 | 87.5 | 87.6 |
| passive-aggressive, margin of one logit | 86.3 | 85.8 to 86.4 | 83.1 to 85.3 |
| softmax gradient, a quarter | 86.3 | 86.2 | 86.2 |
| softmax gradient, 20 passes over stored examples, best rate | 86.5 | 88.1 | 84.2 |
| centres of the classes moved, best strength | 86.5 | 89.1 | 87.1 |
| examples that count near them (this one) | 86.5 | 89.5 | 89.4 |

Steps on the weights move the boundary of a class everywhere, also for states that no labelled window is near. That
helps some people and harms others. Of the examples, radius, margin and the limit of a step were compared on the same
subjects: twice the radius gains as much and loses more by wrong labels; a limit of two logits likewise.
"""


def part_of(data: es.Data, part: str) -> tuple[Windows, Windows]:
    """Windows to train on, and windows of other subjects: a fold of the training side, or the test side."""
    train = data.train
    if part == TEST:
        assert data.test is not None
        return select_windows(train, np.arange(0, len(train.labels), 2)), data.test
    subjects = np.array(sorted(set(train.groups.tolist()), key=int))[int(part) :: FOLDS]
    held = np.isin(train.groups, subjects)
    return select_windows(train, ~held), select_windows(train, held)


def model_of(data: es.Data, part: str, work: Path) -> IntModel:
    """The integer model of a part, trained if the work folder has none."""
    trained, quantized = work / f"{part}_float.safetensors", work / f"{part}_int.safetensors"
    windows = part_of(data, part)[0]
    if not trained.exists():
        config = load_config(RECIPE, [f"training.epochs={EPOCHS}"]).training
        mine = es.windows(
            windows.counts,
            windows.labels,
            windows.groups,
            data.contract,
            label_names=data.labels,
            name="hapt",
            validation_fraction=0.0,
            test_fraction=0.0,
        )
        save_model(es.train(mine, config=config, name="hapt", quiet=True).model, trained)
    if not quantized.exists():
        model = load_float_model(trained)
        chosen = np.linspace(0, len(windows.labels) - 1, 128).astype(int)
        save_model(quantize(model, calibrate(model, windows.counts[chosen])), quantized)
    return load_int_model(quantized)


def scores_of(data: es.Data, part: str, work: Path) -> dict[int, Adaptation]:
    """Scores of the subjects that a part's model has not seen, by the number of labelled windows."""
    model = model_of(data, part, work)
    windows = part_of(data, part)[1]
    found = {}
    for lessons in LESSONS:
        path = work / f"{part}_{lessons}.json"
        if not path.exists():
            save_json(path, score_lessons(model, windows, lessons, side=part, note=BY_GROUP))
        found[lessons] = load_result(path, Adaptation)
    return found


def pooled(parts: list[Adaptation]) -> dict[str, PairedScore | Estimate]:
    """Mean over the subjects of several parts, with a 95 % interval from resampling subjects."""
    groups = [one for part in parts for one in part.groups]
    before = np.array([one.before for one in groups])
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(groups), (2000, len(groups)))

    def estimate(values: NDArray[np.float64]) -> Estimate:
        low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
        return Estimate(float(values.mean()), float(low), float(high))

    after, wrong = (np.array([getattr(one, name) for one in groups]) for name in ("after", "after_wrong"))
    return {
        "before": estimate(before),
        "after": estimate(after),
        "gain": PairedScore(estimate(after - before), ()),
        "gain_wrong": PairedScore(estimate(wrong - before), ()),
    }


def summary_row(name: str, lessons: int, parts: list[Adaptation]) -> str:
    """One row of the page: all subjects, and the third of them with the lowest accuracy."""
    groups = sorted((one for part in parts for one in part.groups), key=lambda one: one.before)
    lowest = groups[: -(-len(groups) // 3)]
    found = pooled(parts)
    low = [100 * float(np.mean([getattr(one, what) for one in lowest])) for what in ("before", "after", "after_wrong")]
    worse = sum(one.after < one.before - 0.005 for one in groups)
    return (
        f"| {name} | {lessons} | {found['before']} | {found['after']} | {found['gain'].text()} | "
        f"{found['gain_wrong'].text()} | {low[0]:.1f} / {low[1]:.1f} / {low[2]:.1f} % | {worse} of {len(groups)} |"
    )


def page(scores: dict[str, dict[int, Adaptation]], model: IntModel) -> str:
    """The tables as a page."""
    folds = [scores[part] for part in scores if part != TEST]
    sets = {f"training part, {FOLDS} folds": folds} | ({"test part": [scores[TEST]]} if TEST in scores else {})
    rows = [
        summary_row(name, lessons, [part[lessons] for part in parts])
        for name, parts in sets.items()
        for lessons in LESSONS
    ]
    subjects = []
    for name, parts in sets.items():
        by_name = {
            one.group: [one.windows, one.before, *(_of(part[lessons], one.group) for lessons in LESSONS)]
            for part in parts
            for one in part[LESSONS[0]].groups
        }
        for group, (windows, *figures) in sorted(by_name.items(), key=lambda item: item[1][1]):
            cells = [
                f"{100 * figures[0]:.1f}",
                *(f"{100 * one.after:.1f} / {100 * one.after_wrong:.1f}" for one in figures[1:]),
            ]
            subjects.append(f"| {name} | {group} | {windows} | {' | '.join(cells)} |")
    worst = ""
    if TEST in scores:
        last = [_of(scores[TEST][LESSONS[-1]], group) for group in WORST]
        before, after = (
            " and ".join(f"{100 * getattr(one, what):.1f}" for one in last) for what in ("before", "after")
        )
        worst = (
            f"Test subjects {' and '.join(WORST)} are those for whom the recipe itself is worst (87.5 and 88.7 %,\n"
            f"[recipes](recipes.md)). Here they have {before} % before and {after} % after {LESSONS[-1]} labelled "
            "windows."
        )
    with tempfile.TemporaryDirectory() as folder:
        cost = learning_cost(model, Path(folder))
    return PAGE.format(
        rows="\n".join(rows),
        subjects="\n".join(subjects),
        draws=DRAWS,
        examples=DEFAULT_EXAMPLES,
        epochs=EPOCHS,
        worst=worst,
        **vars(cost),
    )


def _of(part: Adaptation, group: str) -> AdaptedGroup:
    return next(one for one in part.groups if one.group == group)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("datasets/hapt.toml"))
    parser.add_argument("parts", nargs="*")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    data = es.load(given.data, validation_fraction=0.0)
    parts = given.parts or [*map(str, range(FOLDS)), TEST]
    scores = {part: scores_of(data, part, given.work) for part in parts}
    if given.out is not None:
        write_atomically(given.out, page(scores, load_int_model(given.work / "0_int.safetensors")).encode())


if __name__ == "__main__":
    main()
