"""Work of kernels that compute in vector lanes (Helium: ``es_mve.h`` and ``es_rows_mve.c`` of the runtime).

A pass goes over the blocks of a layer and adds up to four or eight quads, or four pairs of features, to the sums of
each block. So work does not grow by the quad, but by the pass. ``lane_loop`` is what the loops over blocks execute,
counted in the source; the others are what surrounds them.
"""

from __future__ import annotations

from collections import Counter

from edge_seq.ir.kind_names import CellName
from edge_seq.ir.rows import QUAD, padded

_LANES = 4  # quads or pairs of a vector
_BATCH = 32  # blocks whose sums are computed before their gates
_RESULTS = 8  # blocks of a convolution or a dense layer in one call
_KNOWN_UNITS = 32  # units of a first layer that has a loop of its own
# Instructions of a block in one pass, by rows of a block that see the operand: loading and storing the sums, the next
# addresses, and the end of the loop; then the words. A GRU has three such rows, the others have four.
_AROUND = {4: 6, 3: 6}
_FOUR_QUADS = {4: 16, 3: 12}
_FOUR_PAIRS = {4: 8, 3: 6}
_BEGIN_OF_EIGHT = {4: 7, 3: 7}  # the pass that also sets the sums to the biases: two additions to the addresses
_KNOWN = {4: 5, 3: 5}
_BIAS = 4  # a loop that sets the sums to the biases


def _passes(quads: int) -> tuple[int, int]:
    """Passes of eight quads, and of up to four."""
    eights, rest = divmod(quads, 2 * _LANES)
    return eights, -(-rest // _LANES)


def recurrent_lanes(cell: CellName, units: int, inputs: int, steps: int, *, raw: bool) -> Counter[str]:
    """Work of a recurrent layer in a window of ``steps`` steps, on features (``raw``) or on states below."""
    work: Counter[str] = Counter()
    rows, of_units = 3 if cell == "gru" else 4, cell in ("lstm", "gru")
    own = padded(units) // QUAD
    blocks = units if of_units else own
    alone = raw and cell == "gru" and inputs % 2 == 1 and inputs > 1
    pairs = 0 if not raw else inputs // 2 if alone else -(-inputs // 2)
    below = 0 if raw else padded(inputs) // QUAD
    batches = -(-blocks // _BATCH)
    in_batches = [min(_BATCH, blocks - first) for first in range(0, blocks, _BATCH)]
    eight, four = 2 * _FOUR_QUADS[rows], _FOUR_QUADS[rows]
    work[f"{cell}_step"] = steps
    groups = sum(-(-count // _LANES) for count in in_batches) if of_units else own  # the last may have fewer units
    work[f"{cell}_group"] = steps * groups
    if alone:
        work["gru_column"] = steps * groups
    if cell != "fastgrnn" and units == _KNOWN_UNITS and raw and 2 * pairs + alone in (rows, 6):
        work["lane_known"] = steps
        work["lane_loop"] = steps * blocks * (_KNOWN[rows] + _FOUR_PAIRS[rows] + eight)
        return work
    if raw and own >= 2 * _LANES:
        work["lane_loop"] += steps * blocks * (_BEGIN_OF_EIGHT[rows] + _FOUR_PAIRS[rows] + eight)
        work["lane_begin"] += steps * batches
        pairs, own = max(0, pairs - _LANES), own - 2 * _LANES
    else:
        work["lane_loop"] += steps * blocks * _BIAS
    if pairs or own or below:
        work["lane_rest"] += steps * batches
    of_pairs = -(-pairs // _LANES)
    eights, fours = (sum(counts) for counts in zip(_passes(below), _passes(own), strict=True))
    work["lane_loop"] += steps * blocks * of_pairs * (_AROUND[rows] + _FOUR_PAIRS[rows])
    work["lane_loop"] += steps * blocks * (eights * (_AROUND[rows] + eight) + fours * (_AROUND[rows] + four))
    work["lane_pass"] += steps * batches * (of_pairs + eights + fours)
    if batches > 1:  # new operands wait in scratch
        work["lane_quad"] += steps * (padded(units) // QUAD)
    return work


def rows_lanes(units: int, pieces: tuple[int, ...], *, raw: bool) -> Counter[str]:
    """Work of the rows of a convolution or of a dense layer for one output.

    Args:
        units: number of rows.
        pieces: pairs of features (``raw``), or quads, of each piece of what the rows see.
        raw: True on features.
    """
    work: Counter[str] = Counter()
    blocks, begin_and_end = -(-units // QUAD), 9
    chunks = -(-blocks // _RESULTS)
    bodies: list[int] = []
    if raw:
        left = -(-sum(pieces) // _LANES)  # vectors
        while left > 0:
            vectors = 4 if left >= 4 else 2 if left >= 2 else 1
            bodies.append(_AROUND[4] + vectors * _FOUR_PAIRS[4])
            left -= vectors
    else:
        for quads in pieces:
            eights, fours = _passes(quads)
            bodies += [_AROUND[4] + 2 * _FOUR_QUADS[4]] * eights + [_AROUND[4] + _FOUR_QUADS[4]] * fours
    work["lane_loop"] = blocks * (begin_and_end + sum(bodies))
    work["lane_wide_rows" if raw else "lane_narrow_rows"] = chunks
    work["lane_wide_pass" if raw else "lane_narrow_pass"] = chunks * len(bodies)
    return work
