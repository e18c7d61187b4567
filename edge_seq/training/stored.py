"""Features and labels of windows on disk. They are read, preprocessed and normalised when they are indexed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_seq.backends.preprocess import normalise
from edge_seq.data.stored import BLOCK
from edge_seq.ir.contract import Normalisation, SensorContract
from edge_seq.training.features import preprocessed_counts

Index = Tensor | slice


class StoredFeatures:
    """Features on disk. Indexing gives the same numbers as a Tensor float32 [B, T, C] in memory."""

    def __init__(self, counts: NDArray[np.int16], contract: SensorContract, normalisation: Normalisation) -> None:
        self._counts, self._contract, self._normalisation = counts, contract, normalisation

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, index: Index) -> Tensor:
        counts = self._counts[_numpy(index)]
        return torch.from_numpy(normalise(preprocessed_counts(counts, self._contract), self._normalisation))


class StoredLabels:
    """Class of each sample, on disk. Indexing gives the same numbers as a Tensor int64 [B, T] in memory."""

    def __init__(self, labels: NDArray[np.int16]) -> None:
        self._labels = labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Index) -> Tensor:
        return torch.from_numpy(self._labels[_numpy(index)].astype(np.int64))

    def blocks(self) -> Iterator[Tensor]:
        """Yield all labels, block by block."""
        for start in range(0, len(self), BLOCK):
            yield self[start : start + BLOCK]


def _numpy(index: Index) -> NDArray[np.int64] | slice:
    return index if isinstance(index, slice) else index.numpy()
