"""`edge-seq compare`: two real workers, a killed command; figures, plots, words and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from edge_seq.compare.config import load_compare_config
from edge_seq.compare.points import Candidate, Point
from edge_seq.compare.trial import TrainingJob, run_job
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.lock import holding
from edge_seq.trials.worker import installed_version
from tests.cli.comparing import SMALL, start
from tests.cli.conftest import Small, edge_seq, ok
from tests.unit.trials.cluster import cluster


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison by two processes whose command was killed after some trainings, and given again."""
    out = tmp_path_factory.mktemp("compare") / "study"
    arguments = ("compare", "recall", *SMALL, "--workers", "2", "--out", str(out))
    killed = start(*arguments)
    deadline = time.monotonic() + 240
    while len(trials(out)) < 3:
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    before = {path: path.read_bytes() for path in trials(out)}
    assert 3 <= len(before) < 20
    ok(*arguments)
    assert {path: path.read_bytes() for path in before} == before, "what was finished is not repeated"
    return out


def trials(out: Path) -> list[Path]:
    return sorted((out / "trials").glob("[!.]*.json"))


def comparison(out: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    return table


def test_every_training_was_done(compared: Path) -> None:
    result = comparison(compared)
    assert (result["trainings"], result["trainings_left"], result["lost"]) == (2 * 2 * (2 + 3), 0, 0)
    assert all(None not in one["scores"] for one in result["candidates"])


OF_THE_RUN = {"command", "seconds_of_this_command", "training_seconds", "training_cpu_seconds", "versions"}


def without_times(table: Any) -> Any:
    """A comparison without what differs from run to run."""
    if isinstance(table, dict):
        return {key: without_times(value) for key, value in table.items() if key not in OF_THE_RUN}
    return [without_times(one) for one in table] if isinstance(table, list) else table


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 8])
def test_a_cluster_with_a_killed_worker_gives_the_comparison_of_one_process(
    workers: int, compared: Path, tmp_path: Path
) -> None:
    """The summary of two killed and continued processes, of one process, and of a cluster are the same."""
    pytest.importorskip("distributed")
    ok("compare", "recall", *SMALL, "--out", tmp_path / "one")
    with cluster(tmp_path, workers=workers) as running:
        process = start("compare", "recall", *SMALL, "--scheduler", running.address, "--out", str(tmp_path / "many"))
        while not trials(tmp_path / "many"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.killpg(running.workers[0].pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    one, many = without_times(comparison(tmp_path / "one")), without_times(comparison(tmp_path / "many"))
    assert one == many
    assert one == without_times(comparison(compared))


def test_the_comparison_describes_itself(compared: Path) -> None:
    result = comparison(compared)
    named = {field.partition("[")[0] for field in result["fields"]}
    assert named <= result.keys()
    assert result["command"].startswith("edge-seq compare recall --quick")
    assert result["config"]["training"]["epochs"] == 2
    (lstm,) = [
        one
        for one in result["candidates"]
        if (one["cell"], one["first_weights"], one["time_steps"]) == ("lstm", "chrono", 12)
    ]
    assert lstm["cost"]["parameters"] == 4 * 4 * (2 + 4 + 1) + 4 * 5
    assert lstm["cost"]["status"] == "skipped"
    assert len(lstm["gradient"]["before"]) == len(lstm["gradient"]["after"]) == 12
    assert 0 <= lstm["interval"]["low"] <= lstm["interval"]["value"] <= lstm["interval"]["high"] <= 1
    assert lstm["integer"]["status"] == "measured"
    assert lstm["integer"]["agreement"] > 0.9
    scopes = [verdict["scope"] for verdict in result["verdicts"]]
    assert scopes == ["all sizes, T = 12", "4 units, T = 6", "4 units, T = 12"]
    assert result["rules"]


def test_plots_are_drawn(compared: Path) -> None:
    names = comparison(compared)["plots"]
    assert names == ["scores.png", "scores.svg", "gradients.png", "gradients.svg"]
    for name in names:
        content = (compared / name).read_bytes()
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
        assert len(content) < 200_000


def test_the_same_command_repeats_nothing_and_prints_a_table(compared: Path) -> None:
    before = {path: path.read_bytes() for path in trials(compared)}
    result = ok("compare", "recall", *SMALL, "--out", compared, "--workers", "2")
    assert {path: path.read_bytes() for path in trials(compared)} == before
    assert "recall, 4 units: accuracy, 2 seeds" in result.out
    assert "cost not measured: no target was asked for" in result.out
    assert "OVER ALL SIZES, T = 12: " in result.out
    assert "readout: the last hidden state" in result.out
    assert "comparing" in result.err
    text = (compared / "comparison.md").read_text(encoding="utf-8")
    assert text.startswith("# recall: RNN, GRU or LSTM\n\n```\nedge-seq compare recall --quick")
    assert text.count("\n| rnn |") + text.count("\n| lstm |") == 10
    assert "- OVER ALL SIZES, T = 12: " in text


@pytest.mark.slow
def test_readouts_are_compared_and_told_apart(tmp_path: Path) -> None:
    """A mean costs a little more on the target, and the verdict says which is taken, of both and of each alone."""
    few = ("--window-length", "6", "--hidden-size", "4", "--seeds", "2", "--cell", "rnn", "--set", "training.epochs=2")
    windows = ("--set", "memory.training_windows=128", "--set", "memory.scored_windows=64")
    readouts = ("--readout", "last", "--readout", "mean", "--first-weights", "default")
    result = ok("compare", "recall", "--quick", *few, *windows, *readouts, "--out", tmp_path / "both", "--json").json
    assert [one["readout"] for one in result["candidates"]] == ["last", "mean"]
    scopes = [verdict["scope"] for verdict in result["verdicts"]]
    of_length = "4 units, T = 6"
    assert scopes[1:] == [of_length, f"{of_length}, last state", f"{of_length}, mean of states"]
    last, mean = (one["cost"] for one in result["candidates"])
    assert last["parameters"] == mean["parameters"]
    if last["status"] == "measured":
        assert 0 < mean["per_step"] - last["per_step"] < 100
    text = (tmp_path / "both" / "comparison.md").read_text(encoding="utf-8")
    assert "| rnn | default | 4 | 6 | last |" in text
    assert "| rnn | default | 4 | 6 | mean |" in text
    assert "- readouts: the last hidden state" in text
    refused = edge_seq("compare", "recall", "--set", "training.dense=[8]", "--show-config")
    assert refused.code == 2
    assert "training.dense cannot be set" in refused.err
    refused = edge_seq("compare", "recall", "--set", "training.pooling=mean", "--show-config")
    assert refused.code == 2
    assert "training.pooling cannot be set, because the comparison sets it: give --readout" in refused.err


def test_another_configuration_is_refused_with_what_differs(compared: Path) -> None:
    result = edge_seq("compare", "recall", *SMALL, "--out", compared, "--set", "training.epochs=3", "--json")
    assert result.code == 2
    assert result.json["error"] == "ConfigError"
    assert "config.training.epochs 2 there, 3 now" in result.json["message"]


def test_what_is_finished_can_be_reported_before_the_rest(compared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(compared, tmp_path / "copy")
    empty = edge_seq("compare", "recall", *SMALL, "--out", tmp_path / "new", "--workers", "0")
    assert empty.code == 2
    assert "none of 20 trainings has a result yet" in empty.err
    assert ok("compare", "recall", *SMALL, "--out", copy, "--workers", "0", "--json").json["trainings"] == 20


@pytest.mark.slow
def test_own_data_come_by_group_and_equal_budgets_choose_the_units(small: Small, tmp_path: Path) -> None:
    source = small.drives.with_suffix(".toml")
    arguments = ("--quick", "--window-length", "25", "--parameters", "300", "--cell", "gru")
    few = ("--seeds", "2", "--set", "training.epochs=1", "--first-weights", "chrono", "--target", "cortex_m4")
    result = ok("compare", source, *arguments, *few, "--out", tmp_path / "study", "--json").json
    assert result["sizes"][0]["units"] == {"gru": 7}  # 3 * 7 * (3 + 7 + 1) + 7 + 4 * (7 + 1) = 270
    for one in result["candidates"]:
        assert one["groups"] > 2
        assert one["over_groups"]["low"] < one["over_groups"]["value"] < one["over_groups"]["high"]
        assert one["cost"]["parameters"] <= 300
        assert one["cost"]["status"] == "skipped" or one["cost"]["flash_bytes"] > one["cost"]["weight_bytes"] > 300
    assert "groups are the test part, which is not used" in result["data_note"]


def test_a_worker_with_other_data_or_another_version_is_refused(small: Small) -> None:
    config = load_compare_config(str(small.drives.with_suffix(".toml")), quick=True)
    point = Point(Candidate("rnn", 4, 25, "default"), 0.01, 0)
    job = TrainingJob(config.model_dump(mode="json"), "0" * 64, installed_version(), point)
    with pytest.raises(DataError, match=r"has other data under .*drives.toml \(fingerprint \w{16}, expected 0{16}\)"):
        run_job(job)
    with pytest.raises(ConfigError, match=r"has edge-seq .*, and the process that steers 9.9; install the same"):
        run_job(replace(job, version="9.9"))


def test_two_commands_on_one_folder_are_refused(compared: Path) -> None:
    with holding(compared, what="test"):
        result = edge_seq("compare", "recall", *SMALL, "--out", compared)
    assert result.code == 2
    assert "comparison study: another process writes to it; wait until that ends" in result.err


@pytest.mark.slow
def test_a_training_that_fails_ends_with_1_and_is_named(tmp_path: Path) -> None:
    code = (
        "import edge_seq.compare.run as w\nfrom edge_seq.support.errors import ConfigError\nrun = w.run_point\n"
        "def fail(point, **a):\n"
        "    if point.key == 'rnn-4-default-T6-lr0.01-s0': raise ConfigError('the loss is nan')\n"
        "    return run(point, **a)\nw.run_point = fail\nimport sys\n"
        f"sys.argv = {['edge-seq', 'compare', 'recall', *SMALL]!r}\n"
        "del sys.argv[6:8]\n"  # one window length is enough
        f"sys.argv += ['--first-weights', 'default', '--out', {str(tmp_path / 'study')!r}]\n"
        "from edge_seq.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "140"}
    )
    assert done.returncode == 1, done.stderr
    assert "FAILED rnn-4-default-T6-lr0.01-s0: the loss is nan" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cell", "mlp"), "cells.0: Input should be 'rnn', 'gru', 'lstm' or 'fastgrnn'"),
        (("--target", "cortex_m5"), "target 'cortex_m5' does not exist"),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:9"), "--scheduler takes those of a cluster; give one"),
        (("--scheduler", "nothing://x"), "--scheduler nothing://x is not the address of a Dask scheduler"),
        (("--parameters", "9"), "rnn: 9 parameters: one unit already needs 12; give a larger budget"),
    ],
)
def test_wrong_use_ends_with_2(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = edge_seq("compare", "recall", *arguments, "--out", tmp_path / "study")
    assert result.code == 2
    assert message in result.err


def test_a_folder_of_something_else_is_refused(small: Small) -> None:
    result = edge_seq("compare", "recall", "--out", small.run)
    assert result.code == 2
    assert "exists and is not the folder of a comparison; give another --out" in result.err


def test_a_window_length_that_the_data_do_not_hold_is_refused_before_any_training(small: Small, tmp_path: Path) -> None:
    result = edge_seq("compare", small.drives.with_suffix(".toml"), "--window-length", "9000", "--out", tmp_path / "x")
    assert result.code == 2
    assert "windows of 9000 samples: cannot make windows" in result.err
    assert not (tmp_path / "x").exists()


def test_show_config_prints_all_keys_and_imports_no_torch() -> None:
    config = ok("compare", "latch", "--quick", "--show-config").json
    assert config["task"] == "latch"
    assert config["seeds"] == 3
    code = "import sys; sys.argv = ['edge-seq', 'compare', '--help']\nfrom edge_seq.cli.app import app\n"
    code += (
        "try:\n    app()\nexcept SystemExit:\n    pass\nassert not {'torch', 'optuna', 'matplotlib'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
