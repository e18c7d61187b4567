"""`edge-seq distill`: a small model learns from a large one, and both are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.pipeline.config import load_config
from edge_seq.support.errors import ConfigError
from edge_seq.workflow.cross_validate import cross_validate
from edge_seq.workflow.distilling.distill import distill_run
from edge_seq.workflow.folder import RunFolder, load_run_float
from tests.cli.conftest import Small, edge_seq, ok


def test_a_smaller_model_beside_its_teacher(small: Small, tmp_path: Path) -> None:
    run = tmp_path / "smaller"
    told = ok("distill", small.run, "--hidden-size", "3", "--epochs", "2", "--out", run, "--json").json
    assert told["before"]["hidden_sizes"] == [5]
    assert told["after"]["hidden_sizes"] == [3]
    assert told["after"]["weight_bytes"] < told["before"]["weight_bytes"]
    assert 0 <= told["same_label"] <= 1
    assert told["after"]["metrics"]["accuracy"]["low"] <= told["after"]["metrics"]["accuracy"]["value"]
    assert told["before"]["metrics"]["num_windows"] == told["after"]["metrics"]["num_windows"]
    assert told["before"]["on_target"] is None
    assert (run / "distillation.json").is_file()
    assert load_run_float(RunFolder(run)).hidden_sizes == (3,)


@pytest.mark.slow
def test_both_are_measured_on_a_target(small: Small, tmp_path: Path) -> None:
    run = tmp_path / "smaller"
    options = ("--hidden-size", "3", "--epochs", "1", "--target", "cortex_m4", "--out", run)
    text = ok("distill", small.run, *options).out
    assert "teacher" in text
    assert "fewer bytes of weights; the same label on" in text
    told = ok("distill", small.run, *options, "--json").json  # the training is there already
    assert told["target"] == "cortex_m4"
    before, after = (told[name]["on_target"] for name in ("before", "after"))
    assert after["instructions_per_window"] < before["instructions_per_window"]
    assert after["flash_bytes"] < before["flash_bytes"]


def test_what_cannot_be_learnt_from_is_refused(small: Small, tmp_path: Path) -> None:
    nothing = edge_seq("distill", tmp_path / "nothing", "--out", tmp_path / "out")
    assert nothing.code == 2
    with pytest.raises(ConfigError, match="the configuration has no teacher; give the folder of a run"):
        distill_run(tmp_path / "out", load_config(None))
    with pytest.raises(ConfigError, match="teacher is '/runs/car', a model that has learnt from recordings of every"):
        cross_validate(tmp_path / "folds", load_config(None, ['teacher="/runs/car"']), folds=2, repeats=1)
