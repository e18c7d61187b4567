"""The table in runtime/src/es_tanh.c is generated, once, by this; a test compares the file with what this gives.

``python -m firmware_export.tanh_source > firmware_export/runtime/src/es_tanh.c``
"""

from __future__ import annotations

import sys

import numpy as np

from edge_seq.quant.tables import packed_table
from firmware_export import ctext

TABLE_BYTES = 4 * 256


def tanh_source() -> str:
    """Text of ``es_tanh.c``: the 256 words of SPEC.md, section 5, as signed 32-bit numbers."""
    words = packed_table().view(np.int32)
    note = ctext.comment(
        "The activation table (SPEC.md, section 5): word k is base[k] * 2^16 + slope[k], for x from -8 + k / 16.\n"
        "Written by firmware_export/tanh_source.py; a test compares."
    )
    return f'{note}#include "es_tanh.h"\n\n{ctext.array("int32_t", "es_tanh_table", words, rom=True, public=True)}'


if __name__ == "__main__":
    sys.stdout.write(tanh_source())
