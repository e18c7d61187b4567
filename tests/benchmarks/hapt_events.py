"""The event benchmark on hapt: whole recordings of the test subjects, and decisions sample by sample.

    python -m tests.benchmarks.hapt_events --work build/adapting --out docs/results/hapt_events.md

It scores a short training of this project's recipe as an example (made in the work folder, if it is not there), and
each file of decisions that is given with ``--entry NAME=FILE``; docs/results/hapt_events.md says how to write one.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edge_seq as es
from edge_seq.data.readers import read_dataset
from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.source import load_source
from edge_seq.pipeline.streams import int_streams
from edge_seq.scores.evaluation import estimate_text
from edge_seq.scores.streaming import StreamMetrics, Timeline, hold, score_streams
from edge_seq.support.errors import DataError
from edge_seq.support.files import write_atomically
from edge_seq.support.opening import read_bytes
from tests.benchmarks.adapting import EPOCHS, TEST, model_of

TOLERANCE_S = 2.56  # a window of the usual 128 samples
COLUMNS = ["recording", "sample", "decision"]
UNKNOWN = "unknown"
EXAMPLE = f"LSTM 32 of this project's recipe, {EPOCHS} epochs on half of the windows"
PAGE = """# An event benchmark on hapt

Window accuracy does not say what a user of a device sees: how many events are found, how many alarms are false, how
late and how nervous the decisions are. This benchmark scores whole recordings, and anybody can enter.

- **Data**: [hapt](../../datasets/hapt.md), the {recordings} recordings of the official test subjects ({subjects}),
  50 Hz, 6 channels, {hours:.2f} labelled hours. Train on the other 21 subjects alone. {classes}.
  Changes of posture, and time without a note, are unlabelled.
- **Decisions**: causal. A decision at a sample may use this sample and earlier ones of the recording.
- **Scores**: of events, false alarms, delays and changes of the decision, with a tolerance of {tolerance} s, as
  [streaming.py](../../edge_seq/scores/streaming.py) defines them; beside them those of
  [MLPerf Tiny's streaming task](../../edge_seq/scores/detection_windows.py), each class a wake word of its own.
  Intervals are 95 %, from resampling subjects.
- **Device**: say bytes of weights, RAM and instructions a second if you can (`edge-seq measure`).

## Enter

Write a CSV with the columns `recording,sample,decision`: a row where the decision of a recording changes, `sample`
counted from 0, `decision` a class name or `unknown`; before the first row there is none. Recordings are named as the
data source names them, such as `{first}`. Then

```sh
python -m tests.benchmarks.hapt_events --work build/adapting --entry mine=mine.csv --out page.md
```

scores it beside the example. `--write example.csv` writes the decisions of the example in this form. A run of this
project needs no file: `edge-seq evaluate RUN --stream` gives the same scores.

## Results

| entry | event macro-F1 | events hit | false alarms/h | fragments a hit | delay, median / 95 % (s) | \
changes/min (truth {truth:.1f}) | MLPerf: found / missed / false |
|---|---|---|---|---|---|---|---|
{rows}

The example is trained briefly, so that the command takes minutes; the recipe itself has an event macro-F1 of 74.2 % by
its labels and 86.7 % with a decision stage ([streams](streams.md), with five subjects fewer to train on).
"""


def recordings_of_test(source: Path) -> tuple[Dataset, tuple[Recording, ...]]:
    """The data set, and the recordings of its test part."""
    dataset = read_dataset(load_source(source), base=source.parent)
    return dataset, tuple(one for one in dataset.recordings if one.split == "test")


def read_entry(path: Path, recordings: Sequence[Recording], labels: Sequence[str]) -> list[Timeline]:
    """Decisions of a file as timelines.

    Raises:
        DataError: the columns are others, or a row names no recording, sample or class, or goes back.
    """
    known = {one.name: one for one in recordings}
    codes = {**{name: index for index, name in enumerate(labels)}, UNKNOWN: len(labels)}
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in known}
    try:
        lines = read_bytes(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"reading the entry {path}: it cannot be read as text; give a CSV file") from error
    reader = csv.DictReader(lines)
    if reader.fieldnames != COLUMNS:
        raise DataError(f"reading the entry {path}: columns are {reader.fieldnames}; expected {COLUMNS}")
    for row in reader:
        name, sample, decision = (row[column] for column in COLUMNS)
        where = f"reading the entry {path}, line {reader.line_num}"
        if name not in known:
            raise DataError(f"{where}: recording {name!r} is not of the test part; give one of {sorted(known)}")
        if decision not in codes:
            raise DataError(f"{where}: decision {decision!r} is unknown; give one of {list(codes)}")
        before = found[name][-1][0] if found[name] else -1
        if not (sample or "").isdecimal() or not before < int(sample) < len(known[name].labels):
            raise DataError(
                f"{where}: sample {sample!r}; expected a number above {before} and below {len(known[name].labels)}"
            )
        found[name].append((int(sample), codes[decision]))
    timelines = []
    for name, one in known.items():
        given = np.array(found[name], dtype=np.int64).reshape(-1, 2)
        timelines.append(Timeline(one.group, one.labels, hold(given[:, 0], given[:, 1], len(one.labels))))
    return timelines


def entry_of(decisions: Mapping[str, NDArray[np.int64]], labels: Sequence[str]) -> str:
    """Text of an entry: decisions int [T] by recording, -1 for none yet, K for unknown."""
    names = [*labels, UNKNOWN]
    rows = [",".join(COLUMNS)]
    for name, given in decisions.items():
        changes = np.flatnonzero(np.diff(given, prepend=-1))
        rows += [f"{name},{at},{names[given[at]]}" for at in changes.tolist()]
    return "\n".join(rows) + "\n"


def row_of(name: str, one: StreamMetrics) -> str:
    """One row of the page."""
    windows = one.detection_windows
    assert windows is not None
    return (
        f"| {name} | {one.event_f1} | {one.recall} | {estimate_text(one.false_alarms_per_hour)} | "
        f"{estimate_text(one.fragments_per_hit, 2)} | {estimate_text(one.delay_median_s)} / "
        f"{estimate_text(one.delay_p95_s)} | {estimate_text(one.flicker_per_minute, 2)} | "
        f"{windows.true_positives} / {windows.false_negatives} / {windows.false_positives} |"
    )


def main() -> None:
    """Score the example and the entries, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("datasets/hapt.toml"))
    parser.add_argument("--entry", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    dataset, recordings = recordings_of_test(given.data)
    labels = dataset.labels
    model = model_of(es.load(given.data, validation_fraction=0.0), TEST, given.work)
    decided = {
        one.recording.name: hold(one.due, one.labels, len(one.recording.labels))
        for one in int_streams(model, recordings)
    }
    entries = {EXAMPLE: [Timeline(one.group, one.labels, decided[one.name]) for one in recordings]}
    for text in given.entry:
        name, _, path = text.partition("=")
        entries[name] = read_entry(Path(path), recordings, labels)
    rate = dataset.contract.sample_rate_hz
    scores = {
        name: score_streams(lines, label_names=labels, sample_rate_hz=rate, tolerance_s=TOLERANCE_S)
        for name, lines in entries.items()
    }
    if given.write is not None:
        write_atomically(given.write, entry_of(decided, labels).encode())
    first = scores[EXAMPLE]
    page = PAGE.format(
        recordings=len(recordings),
        first=recordings[0].name,
        subjects=", ".join(sorted({one.group for one in recordings}, key=int)),
        hours=first.hours,
        classes=f"Classes: {', '.join(labels)}",
        tolerance=TOLERANCE_S,
        truth=first.true_changes_per_minute,
        rows="\n".join(row_of(name, one) for name, one in scores.items()),
    )
    write_atomically(given.out, page.encode())


if __name__ == "__main__":
    main()
