"""Names of the kinds of layers, as they are typed and saved. Imports nothing, so that help texts can list them."""

from __future__ import annotations

from typing import Literal, get_args

# Kinds that carry a state from step to step. A kind that is not recurrent (a dense layer, a causal convolution) gets a
# Literal of its own beside this one, and KindName is the union of both.
CellName = Literal["rnn", "gru", "lstm", "fastgrnn"]
KindName = CellName

CELL_NAMES: tuple[CellName, ...] = get_args(CellName)
KIND_NAMES: tuple[KindName, ...] = get_args(KindName)


def one_of(names: tuple[str, ...]) -> str:
    """Names as a sentence lists them.

    >>> one_of(("rnn", "gru", "lstm"))
    'rnn, gru or lstm'
    """
    return " or ".join([", ".join(names[:-1]), names[-1]])
