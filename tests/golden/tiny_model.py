"""A tiny model of all three cells, made only by integer arithmetic, so that no version of numpy can change it.

``python -m tests.golden.tiny_model`` writes its C export to tests/golden/tiny: run it after a change of the generated
text, and look at the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
from edge_seq.ir.kinds import Gru, Lstm, Rnn
from edge_seq.ir.model import IntFormat, IntModel, Readout, SequenceModel
from edge_seq.ir.rows import IntRows, padded
from firmware_export.emission.emit import emit
from firmware_export.emission.golden import make_golden

FOLDER = Path(__file__).parent / "tiny"


def _numbers(count: int, seed: int, low: int, high: int) -> np.ndarray:
    """``count`` integers from ``low`` to ``high``, spread by a multiplicative congruence."""
    return low + (np.arange(1, count + 1) * 7919 * (2 * seed + 1)) % (high - low + 1)


def _rows(seed: int, rows: int, *, wide: int = 0, below: int = 0, own: int = 0) -> IntRows:
    multiplier = _numbers(rows, seed + 3, 100, 400)
    return IntRows(
        wide=_numbers(rows * wide, seed, -3000, 3000).reshape(rows, wide).astype(np.int16),
        narrow_input=_numbers(rows * padded(below), seed + 1, -128, 127).reshape(rows, padded(below)).astype(np.int8),
        narrow_hidden=_numbers(rows * padded(own), seed + 2, -128, 127).reshape(rows, padded(own)).astype(np.int8),
        bias=(2**19 * 2**16 // multiplier).astype(np.int32),
        multiplier=multiplier.astype(np.int16),
    )


def tiny_model() -> IntModel:
    """LSTM with 3 units, GRU with 2, RNN with 5; two channels, windows of five samples, labels hard to print."""
    layers = (
        Lstm(*[_rows(seed, 3, wide=2, own=3) for seed in range(4)]),
        Gru(
            *[_rows(10 + s, 2, below=below, own=own) for s, (below, own) in enumerate([(3, 2), (3, 2), (3, 0), (0, 2)])]
        ),
        Rnn(_rows(20, 5, below=2, own=5)),
    )
    return SequenceModel(
        name="tiny",
        labels=("parked", 'a "b"\\?', "straße", "a-b", "a b"),
        contract=SensorContract(
            12.5,
            (Channel("ax", "m/s^2", 417.5, 39.0), Channel("ay */", "g", 2048.0, 16.0)),
            window_length=5,
            window_stride=2,
            preprocessing=Preprocessing("remove_gravity", 3),
        ),
        layers=layers,
        head=_rows(30, 5, below=5),
        readout=Readout("mean", "sample", "carry"),
        number_format=IntFormat(
            (0, 3), (15, 15, 15), tuple((1 << (14 + t.bit_length() - 1)) // t for t in range(1, 6))
        ),
    )


def tiny_counts() -> np.ndarray:
    """Counts int16 [2, 5, 2]."""
    return _numbers(20, 5, -3000, 3000).reshape(2, 5, 2).astype(np.int16)


def tiny_export() -> dict[str, str]:
    """The generated files by name."""
    model = tiny_model()
    return emit(model, make_golden(model, tiny_counts()))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in tiny_export().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
