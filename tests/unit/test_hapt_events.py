"""Entries of the event benchmark on hapt: written and read again, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edge_seq.data.recording import Recording
from edge_seq.scores.streaming import Timeline
from edge_seq.support.errors import DataError
from tests.benchmarks.hapt_events import entry_of, read_entry

LABELS = ("sitting", "standing")


def recording(name: str, labels: list[int]) -> Recording:
    return Recording(name, f"of {name}", np.zeros((len(labels), 1), dtype=np.int16), np.array(labels, dtype=np.int16))


RECORDINGS = (recording("a", [0, 0, 1, 1, 1]), recording("b", [1, 1, 1]))


def test_an_entry_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = {"a": np.array([-1, 0, 0, 2, 1]), "b": np.array([1, 1, 0])}
    path = tmp_path / "mine.csv"
    path.write_text(entry_of(given, LABELS))
    assert path.read_text().splitlines()[:3] == ["recording,sample,decision", "a,1,sitting", "a,3,unknown"]
    found = read_entry(path, RECORDINGS, LABELS)
    assert all(isinstance(one, Timeline) for one in found)
    for one, timeline in zip(RECORDINGS, found, strict=True):
        assert timeline.group == one.group
        assert timeline.decisions.tolist() == given[one.name].tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recording,at,decision\n", "columns are ['recording', 'at', 'decision']; expected ['recording', 'sample',"),
        ("recording,sample,decision\nc,0,sitting\n", "line 2: recording 'c' is not of the test part"),
        ("recording,sample,decision\na,0,running\n", "line 2: decision 'running' is unknown; give one of ['sitting'"),
        ("recording,sample,decision\na,5,sitting\n", "sample '5'; expected a number above -1 and below 5"),
        ("recording,sample,decision\na,1,sitting\na,1,standing\n", "line 3: sample '1'; expected a number above 1"),
        ("recording,sample,decision\na,-1,sitting\n", "sample '-1'; expected a number above -1"),
    ],
)
def test_what_cannot_be_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(words)):
        read_entry(path, RECORDINGS, LABELS)
    with pytest.raises(DataError, match="it cannot be read as text; give a CSV file"):
        read_entry(tmp_path / "none.csv", RECORDINGS, LABELS)
