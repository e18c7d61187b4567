"""edge-seq data check: what it prints, and its exit codes; hints for the wrong kind of file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Small, edge_seq, ok

GOOD = "t,ax,ay,az\n" + "".join(f"{k / 50},{k % 7 / 100},{k % 5 / 100},{1 + k % 3 / 100}\n" for k in range(300))


@pytest.mark.parametrize("command", [("data", "check"), ("cross-validate",)])
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    text = " ".join(ok(*command, "--help").out.split()).replace("│ ", "")
    assert f"Example: edge-seq {' '.join(command)}" in text
    assert "--json" in text


def test_simulated_drives_are_usable_and_torch_stays_out(small: Small) -> None:
    result = ok("data", "check", small.drives.with_suffix(".toml"))
    assert "gravity while still: 1.0" in result.out
    assert result.out.splitlines()[-1] == "usable"
    code = (
        f"import sys; sys.argv = ['edge-seq', 'data', 'check', {str(small.drives.with_suffix('.toml'))!r}]\n"
        "from edge_seq.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_data_for_the_model_of_a_run(small: Small, tmp_path: Path) -> None:
    source = small.drives.with_suffix(".toml")
    assert ok("data", "check", source, "--run", small.run, "--json").json["usable"]
    text = source.read_text().replace("window_length = 50", "window_length = 40")
    other = tmp_path / "other.toml"
    other.write_text(text.replace(f'path = "{small.drives.name}"', f'path = "{small.drives.absolute()}"'))
    result = edge_seq("data", "check", other, "--run", small.run, "--json")
    assert result.code == 1
    assert "window_length: model 50, data 40" in str(result.json["findings"])


def test_what_would_spoil_a_training_ends_with_1(tmp_path: Path) -> None:
    for name, factor in (("walk", 1), ("run", 1)):
        for number in range(3):
            (tmp_path / f"{name}_{number}.csv").write_text(GOOD.replace("0.0", f"0.0{number + factor}"))
    (tmp_path / "run_2.csv").write_text(GOOD.replace("\n3.2,", "\nx,"))
    result = edge_seq("data", "check", tmp_path)
    assert result.code == 1
    assert "taken for granted: the class is the words at the start of a file's name: run, walk" in result.out
    assert "not usable as it is: " in result.out
    assert "ERROR" in result.out


def test_what_cannot_be_looked_at_ends_with_2(tmp_path: Path) -> None:
    result = edge_seq("data", "check", tmp_path / "none", "--json")
    assert result.code == 2
    assert result.json["error"] == "DataError"


def test_a_guessed_source_is_written_and_can_be_trained_on(small: Small, tmp_path: Path) -> None:
    target = tmp_path / "guessed.toml"
    result = edge_seq("data", "check", small.drives, "--write", target)
    assert result.code in (0, 1)
    assert f"wrote {target}; correct it" in result.out
    assert edge_seq("data", "check", target, "--json").json["recordings"] > 1


def test_a_guessed_source_moves_with_the_recordings_beside_it(small: Small, tmp_path: Path) -> None:
    first, moved = tmp_path / "first", tmp_path / "moved"
    (first / "raw").mkdir(parents=True)
    shutil.copy(small.drives, first / "raw" / "drives.csv")
    edge_seq("data", "check", "raw/drives.csv", "--write", "guessed.toml", cwd=first)
    assert 'path = "raw/drives.csv"\n' in (first / "guessed.toml").read_text()
    first.rename(moved)
    assert edge_seq("data", "check", moved / "guessed.toml", "--json").json["recordings"] > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "drives.csv"], "drives.csv holds recordings; expected a data source"),
        (["train", "drives.csv"], "drives.csv is given as the configuration of a run, but it holds recordings"),
        (["train", "walks.toml"], "walks.toml is a data source, but the configuration of a run is expected"),
        (["train", "--data", "car.toml"], "car.toml is the configuration of a run; expected a data source"),
        (["data", "check", "car.toml"], "car.toml is the configuration of a run; expected a data source"),
    ],
)
def test_the_wrong_kind_of_file_is_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "drives.csv").write_text(GOOD)
    (tmp_path / "walks.toml").write_text('name = "walks"\npath = "drives.csv"\nsample_rate_hz = 50\n')
    (tmp_path / "car.toml").write_text('name = "car"\n[training]\ncell = "gru"\n')
    result = edge_seq(*arguments, cwd=tmp_path)
    assert result.code == 2
    assert message in result.err
