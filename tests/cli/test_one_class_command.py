"""``edge-seq train --one-class`` and the commands after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Small, edge_seq, ok

ONE_CLASS = ("--one-class", "normal_road", "--false-alarms", "0.2")
TINY = ("--cell", "gru", "--hidden-size", "4", "--epochs", "2", "--set", "quantization.min_agreement_rate=0.9")


def test_options_set_the_configuration() -> None:
    shown = ok("train", *ONE_CLASS, "--show-config", "--json").json
    assert shown["data"]["one_class"] == {"normal": "normal_road", "false_alarms": 0.2}
    assert "one_class" not in ok("train", "--show-config", "--json").json["data"]
    alone = edge_seq("train", "--false-alarms", "0.2", "--show-config")
    assert alone.code == 2
    assert "--false-alarms 0.2 is of a training on one class; name that class with --one-class" in alone.err


@pytest.mark.slow
def test_every_command_takes_a_run_of_one_class(small: Small, tmp_path: Path) -> None:
    run = tmp_path / "run"
    source = small.drives.with_suffix(".toml")
    trained = ok("train", "--data", source, *ONE_CLASS, *TINY, "--out", run)
    assert "tells 8 ways of changing a window apart" in trained.out
    assert "the threshold of the distance makes" in " ".join(trained.out.split())
    resumed = ok("train", "--data", source, *ONE_CLASS, *TINY, "--out", run, "--json").json
    assert resumed["one_class"]["normal"] == "normal_road"
    ok("quantize", run)
    scores = ok("evaluate", run, "--json").json
    assert scores["one_class"]["wanted"] == 0.2
    assert scores["one_class"]["classifiers"]["integer model"][0]["label"] == "normal_road"
    assert "random_forest" not in scores
    others = ok("evaluate", run, "--source", small.drives, "--data", source, "--no-baselines").out
    assert "called anomaly" in others
    assert "normal_road (normal)" in others
    ok("decide", run)
    ok("evaluate", run, "--stream")
    ok("robustness", run)
    ok("export", run)
    targets = ("--target", "cortex_m4") if shutil.which("arm-none-eabi-gcc") else ()
    ladder = ok("verify", run, *targets, "--windows", "50", "--extreme", "10").out
    assert "IT DOES NOT HOLD" not in ladder
    page = ok("report", run).out
    assert "report" in page
    text = (run / "reports" / "report.html").read_text(encoding="utf-8")
    assert "Loss and score are of telling changed windows apart" in text
    assert "of normal_road these are false alarms" in text
    labels = ok("run", run, "--source", small.drives).out
    assert "normal_road" in labels
    folds = ok(
        *("cross-validate", "--data", source, "--out", tmp_path / "folds", "--folds", "2"),
        *(
            "--set",
            "data.one_class.normal=normal_road",
            "--set",
            "training.hidden_size=3",
            "--set",
            "training.epochs=1",
        ),
    )
    assert "integer model: accuracy" in folds.out
    again = edge_seq("train", "--from", run, "--epochs", "1", "--out", tmp_path / "again")
    assert again.code == 2
    assert "start_from cannot be set so: a training of one class begins with random weights" in " ".join(
        again.err.split()
    )
