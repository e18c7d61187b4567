"""Recordings for a choice among networks: the test part is put aside first, and plays no part in the choice."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_seq.data.recording import Dataset, Recording
from edge_seq.data.splits import split_by_group, split_by_time_blocks
from edge_seq.data.window_file import counts_hash
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import canonical_json
from edge_seq.pipeline.config import DataConfig
from edge_seq.pipeline.prepare import load_data, split_of_source


@dataclass(frozen=True)
class PutAside:
    """Recordings to choose with, and those of the test part.

    Attributes:
        dataset: recordings to choose with. A validation part that the source gives is among them.
        test: recordings of the test part; none if its fraction is 0 and the source gives none.
        by_time: True if the test part is the last block of time of each class, which is weaker evidence.
        minimum_share: share of a window that its label must cover, 0 to 1.
        fingerprint: SHA-256 of all recordings, their contract and labels.
    """

    dataset: Dataset
    test: tuple[Recording, ...]
    by_time: bool
    minimum_share: float
    fingerprint: str


def put_test_aside(data: DataConfig, *, progress: Callable[[int, int], None] | None = None) -> PutAside:
    """Read or simulate recordings, and put the test part aside.

    Args:
        data: source, split (``group`` or ``time_blocks``; ``group`` takes over the split that the source asks for),
            and fraction and seed of a test part that the source does not give.
        progress: called with drives done and drives in all while data are simulated.

    Raises:
        DataError, ContractError, ConfigError, ToolError: as the readers and the simulator say.
    """
    dataset, minimum_share = load_data(data, progress=progress)
    by_time = (split_of_source(data.source) if data.split == "group" else data.split) == "time_blocks"
    if by_time:
        parts = split_by_time_blocks(
            dataset, validation_fraction=0.0, test_fraction=data.test_fraction, minimum_share=minimum_share
        )
    else:
        parts = split_by_group(
            dataset,
            validation_fraction=0.0,
            test_fraction=data.test_fraction,
            seed=data.split_seed,
            minimum_share=minimum_share,
        )
    # A validation part that the source gives is not a test part. It joins the rest.
    rest = tuple(dataclasses.replace(one, split=None) for one in (*parts.train, *parts.validation))
    return PutAside(
        dataset=dataclasses.replace(dataset, recordings=rest),
        test=parts.test,
        by_time=by_time,
        minimum_share=minimum_share,
        fingerprint=_fingerprint(dataset, minimum_share),
    )


def _fingerprint(dataset: Dataset, minimum_share: float) -> str:
    terms = [contract_to_dict(dataset.contract), dataset.labels, minimum_share]
    digest = hashlib.sha256(canonical_json(terms).encode())
    for recording in dataset.recordings:
        digest.update(canonical_json([recording.name, recording.group, recording.split]).encode())
        digest.update(counts_hash(recording.counts).encode())
        digest.update(np.ascontiguousarray(recording.labels, dtype="<i2").tobytes())
    return digest.hexdigest()
