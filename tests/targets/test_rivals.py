"""The rivals of the benchmark: their C gives the labels of Python, and the cost that a comparison estimates is counted.

Slow, as it is no part of the product.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")

from edge_seq.compare.forest import COSTS, inner_nodes, visited_nodes, votes_of
from edge_seq.data.statistics import integer_statistics
from edge_seq.ir.contract import Preprocessing, SensorContract
from edge_seq.support.errors import ToolError
from edge_seq.training.features import preprocessed_counts
from firmware_export.measuring.reference_models import SHAPES, Shape, reference_counts, reference_float_model
from firmware_export.toolchain.target import MissingToolError, load_target
from tests.benchmarks.rivals import __main__ as command
from tests.benchmarks.rivals import chip, cmsis_nn, features, trees

pytestmark = pytest.mark.slow


def contract_of(shape: Shape, step: str) -> SensorContract:
    contract = reference_float_model("car", "rnn", shape=shape).contract
    return replace(contract, preprocessing=Preprocessing(step, 4))  # type: ignore[arg-type]


def windows_of(shape: Shape) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Windows of three loudnesses, some of extreme counts, and the loudness as label."""
    counts = reference_counts(shape, windows=240).astype(np.int64)
    labels = np.arange(len(counts)) % 3
    counts = counts * np.array([1, 12, 60])[labels, None, None]
    counts[-3:] = np.random.default_rng(0).choice([-32768, 32767], counts[-3:].shape)
    return np.clip(counts, -32768, 32767).astype(np.int16), labels.astype(np.int16)


def run(program: str, contract: SensorContract, counts: NDArray[np.int16], folder: Path, name: str) -> Any:
    try:
        image = chip.build(features.statistics_program(contract) + program, folder, load_target(name))
    except MissingToolError as error:
        pytest.skip(str(error))
    return chip.run(image, counts)


@pytest.mark.parametrize(
    ("target", "shape", "step"),
    [
        ("cortex_m4", Shape(3, 8, 50, 3), "none"),
        ("cortex_m4", Shape(6, 8, 32, 3), "difference"),
        ("cortex_m0", Shape(2, 8, 20, 3), "remove_gravity"),
        ("riscv32imc", Shape(9, 8, 10, 3), "difference"),
    ],
)
def test_forest_and_boosting_on_a_target_give_the_labels_of_python(
    target: str, shape: Shape, step: str, tmp_path: Path
) -> None:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    contract = contract_of(shape, step)
    counts, labels = windows_of(shape)
    statistics = integer_statistics(preprocessed_counts(counts, contract))
    forest = RandomForestClassifier(7, max_leaf_nodes=12, random_state=0).fit(statistics, labels)
    shown = np.r_[0:12, -6:0]
    found, figures = run(trees.forest_program(forest), contract, counts[shown], tmp_path / "forest", target)
    expected = votes_of(forest, statistics)[shown]
    assert found.tolist() == expected.tolist()
    assert len(set(expected.tolist())) == 3
    assert 0 < figures.least <= figures.median <= figures.most
    assert figures.ram_bytes < 64 * (shape.input_size + 1)
    boosted = GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0).fit(statistics, labels)
    scores = trees.boosted_scores(boosted, statistics)
    found, _ = run(trees.boosting_program(boosted), contract, counts[shown], tmp_path / "boosting", target)
    assert found.tolist() == boosted.classes_[scores.argmax(axis=1)][shown].tolist()
    assert (boosted.classes_[scores.argmax(axis=1)] == boosted.predict(statistics)).mean() > 0.98


def test_the_estimated_cost_of_a_forest_is_near_the_counted_one(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    shape = Shape(3, 8, 80, 3)
    contract = contract_of(shape, "difference")
    counts, labels = windows_of(shape)
    statistics = integer_statistics(preprocessed_counts(counts, contract))
    forest = RandomForestClassifier(30, min_samples_leaf=2, max_features=3, random_state=1).fit(statistics, labels)
    _, figures = run(trees.forest_program(forest), contract, counts[:20], tmp_path, "cortex_m4")
    costs = COSTS["cortex_m4"]
    assert costs.instructions(3, 80, 30, visited_nodes(forest, statistics[:20])) == pytest.approx(
        figures.median, rel=0.06
    )
    assert costs.flash(30, inner_nodes(forest)) == pytest.approx(figures.flash_bytes, rel=0.25)


def test_a_label_at_the_wrong_time_is_an_error(tmp_path: Path) -> None:
    shape = Shape(3, 8, 10, 3)
    counts, _ = windows_of(shape)
    program = "#include <stdint.h>\nint32_t rival_step(const int16_t *counts) { return counts[0] & 0; }\n"
    try:
        image = chip.build(program, tmp_path, load_target("cortex_m4"))
    except MissingToolError as error:
        pytest.skip(str(error))
    with pytest.raises(ToolError, match="label 0 after sample 0"):
        chip.run(image, counts[:1])


def test_the_front_holds_what_no_other_beats() -> None:
    from edge_seq.scores.metrics import Estimate

    def row(name: str, score: float, most: int | None) -> command.Row:
        figures = None if most is None else chip.ChipFigures(most, most, most, 100, 10, 10, 1)
        return command.Row(name, "forest", Estimate(score, None, None), Estimate(score, None, None), 1.0, figures)

    rows = [row("dear", 0.9, 900), row("cheap", 0.8, 100), row("beaten", 0.79, 300), row("python", 0.99, None)]
    assert [one.name for one in command.front(rows)] == ["cheap", "dear"]
    text = command.table(rows)
    assert "| dear | 90.0 % | 90.0 % | 900 | 900 | 100 | 10 | 10 | 100.0 % | x |" in text
    assert "| python | 99.0 % | 99.0 % | - | - | - | - | - | - |  |" in text


def test_cmsis_nn_is_asked_for_and_only_an_lstm_is_written(tmp_path: Path) -> None:
    counts = reference_counts(SHAPES["car"], windows=4)
    with pytest.raises(ToolError, match=r"has no Source/LSTMFunctions/arm_lstm_.*; give the folder of its repository"):
        cmsis_nn.lstm_program(tmp_path, reference_float_model("car", "lstm"), counts)
    with pytest.raises(ToolError, match="only one LSTM with the mean or the last of its states is written for"):
        cmsis_nn.lstm_program(tmp_path, reference_float_model("car", "gru"), counts)


def test_a_program_has_the_labels_of_the_target_on_the_host(tmp_path: Path) -> None:
    shape = Shape(3, 8, 10, 3)
    counts, _ = windows_of(shape)
    text = features.statistics_program(contract_of(shape, "remove_gravity"))
    text += "int32_t classify(const int16_t *statistics) { return statistics[1] > 100 ? statistics[3] & 7 : 9; }\n"
    on_host = cmsis_nn.host_labels(text, tmp_path / "host", counts, [])
    on_chip, _ = chip.run(chip.build(text, tmp_path / "chip", load_target("cortex_m4")), counts)
    assert on_host.tolist() == on_chip.tolist()
    assert len(set(on_host.tolist())) > 2
