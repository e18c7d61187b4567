"""The folder of a study: its plan, and one file for each trial that has ended.

Files are written whole or not at all, by the process that steers. So whatever is killed, a study continues from the
trials that have a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.json_tables import load_json, load_result, reading, save_json
from edge_seq.support.results import Result, from_plain

PLAN = "plan.json"
TRIALS = "trials"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")

R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class EndedTrial(Result):
    """Content of the file of a trial.

    Attributes:
        key: name of the trial.
        worker: host and process that did it; empty if its workers died.
        lost: number of workers that died on it before.
        result: result as a table; None if it has none.
        refused: reason why it has no result; None if it has one.
        seconds: wall time; 0 where it is not known.
    """

    key: str
    worker: str
    lost: int
    result: dict[str, Any] | None
    refused: str | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Standing(Generic[R]):
    """State of a study.

    Attributes:
        results: results of finished trials, by their keys.
        refused: reason why a trial has no result, by key.
        running: keys of the trials in work.
        lost: number of times that a worker died on a trial, whose trial was then given to another.
        refused_seconds: wall time of the trials without a result, by key.
    """

    results: dict[str, R]
    refused: dict[str, str]
    running: tuple[str, ...] = ()
    lost: int = 0
    refused_seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def done(self) -> int:
        """Number of trials that need no more work."""
        return len(self.results) + len(self.refused)


class StudyFolder(Generic[R]):
    """Plan and ended trials of a study.

    Args:
        path: path of the folder.
        kind: class of the results.
        what: name of the study's kind in messages, such as ``comparison``.
    """

    def __init__(self, path: Path, kind: type[R], *, what: str) -> None:
        self.path = path
        self._kind = kind
        self._what = what

    @property
    def exists(self) -> bool:
        """True if the folder holds a study."""
        return (self.path / PLAN).is_file()

    def agree_on_plan(self, wanted: Mapping[str, Any], resolve: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Read the plan of the study, or write it if the study is new.

        Args:
            wanted: configuration and fingerprint of the data.
            resolve: function that computes values from the configuration once for all workers.

        Returns:
            ``wanted``, and under ``resolved`` the computed values.

        Raises:
            ConfigError: the study has another plan; the message names the differences.
            DataError: the file of the plan is damaged.
        """
        if not self.exists:
            save_json(self.path / PLAN, {**wanted, "resolved": dict(resolve())})
        found = load_json(self.path / PLAN)
        with reading(PLAN):
            resolved = found.pop("resolved")
        differences = table_differences(found, json.loads(json.dumps(wanted)))
        if differences:
            raise ConfigError(
                f"{self._what}: {self.path} was made under another configuration: {'; '.join(differences)}. Give the "
                "same command to continue it, or another --out to start again"
            )
        return {**found, "resolved": resolved}

    def standing(self, keys: Iterable[str]) -> Standing[R]:
        """Read the ended trials among those of the given keys.

        Raises:
            DataError: a file is damaged; the message says which, and that the trial is made again without it.
        """
        results: dict[str, R] = {}
        refused: dict[str, str] = {}
        seconds: dict[str, float] = {}
        lost = 0
        for key in keys:
            path = self._file(key)
            if not path.is_file():
                continue
            try:
                ended = load_result(path, EndedTrial)
                if ended.result is not None:
                    with reading(path.name):
                        results[key] = from_plain(self._kind, ended.result)
                else:
                    refused[key] = ended.refused or "no reason is given"
                    seconds[key] = ended.seconds
            except DataError as error:
                raise DataError(f"{self._what}: {error}. Remove {path}, and the same command does it again") from error
            lost += ended.lost
        return Standing(results, refused, lost=lost, refused_seconds=seconds)

    def add(self, ended: EndedTrial) -> R | None:
        """Keep an ended trial. Return its result; None if it was refused."""
        result = None if ended.result is None else from_plain(self._kind, ended.result)
        save_json(self._file(ended.key), ended)
        return result

    def _file(self, key: str) -> Path:
        assert _KEY.fullmatch(key), key
        return self.path / TRIALS / f"{key}.json"


def table_differences(found: Mapping[str, Any], wanted: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """Describe the keys in which two nested tables differ.

    >>> table_differences({"training": {"epochs": 20}}, {"training": {"epochs": 40}})
    ['training.epochs 20 there, 40 now']
    """
    differences = []
    for key in sorted(found.keys() | wanted.keys()):
        there, now = found.get(key), wanted.get(key)
        if isinstance(there, Mapping) and isinstance(now, Mapping):
            differences += table_differences(there, now, prefix=f"{prefix}{key}.")
        elif there != now:
            differences.append(f"{prefix}{key} {json.dumps(there)} there, {json.dumps(now)} now")
    return differences
