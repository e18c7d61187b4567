"""Everything that reads bytes of others is fuzzed: some changed inputs each, here; `make fuzz` for longer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("resource")
pytest.importorskip("scipy")
pytest.importorskip("h5py")

from edge_seq.data.readers import READERS
from edge_seq.frontends.files import KERAS_SUFFIXES, ONNX_SUFFIXES, WEIGHTS_SUFFIXES
from edge_seq.support.errors import DataError
from edge_seq.workflow.folder import RunFolder
from tests.fuzz import run
from tests.fuzz.corpus import RUN
from tests.fuzz.run import fuzz, place_of
from tests.fuzz.targets import Target, shortened, targets
from tests.unit.data.fuzz_readers import SAMPLES

NAMES = [one.name for one in targets()]
FOLDERS = {"path", "checkpoint_dir", "exports", "reports", "store"}


@pytest.mark.parametrize("target", targets(), ids=NAMES)
def test_changed_inputs_are_read_or_refused(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    found = fuzz(target, number=1, executions=8)
    assert not found.findings, "\n".join(path.read_text() for path in tmp_path.glob("*.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("target", targets(), ids=NAMES)
def test_many_changed_inputs_are_read_or_refused(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    found = fuzz(target, number=2, executions=1000)
    assert not found.findings, "\n".join(path.read_text() for path in tmp_path.glob("*.txt"))
    assert found.read > 0
    refuses = target.name != "wire, the host's side"  # which looks for frames in anything
    assert (found.read < 1000) == refuses


@pytest.mark.parametrize("path", sorted((RUN.parent / "found").iterdir()), ids=lambda path: path.name)
def test_what_was_found_is_refused(path: Path) -> None:
    """Inputs that ended the process or never ended, named ``<target>.<what>``; that would end the tests, too."""
    (target,) = [one for one in targets() if one.name == path.stem]
    assert not target.take(path.read_bytes())


def test_each_reader_is_a_target() -> None:
    assert set(SAMPLES) == {reader.name for reader in READERS}
    assert {f"reader {reader.name}" for reader in READERS} <= set(NAMES)


def test_each_kind_of_network_is_a_target() -> None:
    assert {f"network {one}" for one in (*KERAS_SUFFIXES, *ONNX_SUFFIXES, *WEIGHTS_SUFFIXES)} <= set(NAMES)


def test_each_file_of_a_run_is_a_target() -> None:
    """A path that RunFolder gains needs a file in the corpus, and a file of the corpus needs a target."""
    folder = RunFolder(RUN)
    properties = {name for name, value in vars(RunFolder).items() if isinstance(value, property)} - FOLDERS
    paths = [getattr(folder, name) for name in sorted(properties)]
    paths += [give("test") for give in (folder.windows, folder.metrics, folder.stream_metrics, folder.stream_timelines)]
    files = {path.relative_to(RUN).as_posix() for path in RUN.rglob("*") if path.is_file()}
    assert {path.relative_to(RUN).as_posix() for path in paths} <= files
    assert {f"run {name}" for name in files} <= set(NAMES)


def test_too_much_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    target = Target("planted", lambda: (b"seed",), lambda content: None if content == b"seed" else b"x" * (1100 << 20))
    assert list(fuzz(target, number=1, executions=2).findings) == [run.TOO_MUCH]


def test_a_wrong_error_is_found_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FINDINGS", tmp_path)

    def read(content: bytes) -> None:
        if content != b"seed":
            raise DataError("refused") if len(content) % 2 else IndexError("planted")

    target = Target("planted", lambda: (b"seed",), read)
    found = fuzz(target, number=1, executions=20)
    assert list(found.findings) == ["IndexError at ?"] or "IndexError" in next(iter(found.findings))
    assert len(list(tmp_path.glob("planted_*"))) == 2
    assert "| planted | 20 |" in found.row()
    with pytest.raises(AssertionError, match="seed 0 is refused"):
        fuzz(dataclasses.replace(target, seeds=lambda: (b"odd",)), number=1, executions=1)


def test_memory_before_a_size_is_checked_is_a_finding() -> None:
    def read(_: bytes) -> None:
        try:
            raise MemoryError
        except MemoryError as error:
            raise DataError("too large") from error

    with pytest.raises(AssertionError, match="before the size was checked"):
        Target("planted", tuple, read).take(b"")
    assert place_of(ValueError("x")) == "ValueError at ?"


def test_short_seeds_have_the_same_places() -> None:
    assert shortened(b'{"a": [1, 2, 3], "b": {"c": [[1, 2, 3], [], 4]}}') == b'{"a":[1,2],"b":{"c":[[1,2],[]]}}'
    short, whole = next(one for one in targets() if one.name == "run metrics.test.json").seeds()
    assert whole == (RUN / "metrics.test.json").read_bytes()
    assert len(short) < len(whole) // 2
