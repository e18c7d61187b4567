"""Generates the tables in runtime/src/es_tanh.c and es_tanh_dsp.c. A test compares them with the committed files.

``python -m firmware_export.emission.tanh_source > firmware_export/runtime/src/es_tanh.c``
``python -m firmware_export.emission.tanh_source dsp > firmware_export/runtime/src/es_tanh_dsp.c``
"""

from __future__ import annotations

import sys
import zlib

import numpy as np
from numpy.typing import NDArray

from edge_seq.arithmetic.tables import packed_table, tanh_table
from firmware_export.emission import ctext

TABLE_BYTES = 4 * 256


def dsp_words() -> NDArray[np.int32]:
    """The table of SPEC.md, section 5, for kernels that multiply by the argument's low half; int32 [256].

    The low 16 bits of an argument, as a signed number, are the position f in the cell plus 4096 s, where s is the low
    4 bits of the index as a signed number. Word k is therefore reduced by ``slope 4096 s``, a multiple of 2^16 as
    slopes are multiples of 16. Then ``word + slope * low`` is ``base 2^16 + slope (f + 1)`` modulo 2^32, and kernels
    need not extract f.
    """
    index = np.arange(256)
    slope = tanh_table()[1].astype(np.int64)
    signed_low_bits = ((index & 15) ^ 8) - 8
    words: NDArray[np.int64] = packed_table().astype(np.int64) - slope * 4096 * signed_low_bits
    return words.astype(np.uint32).view(np.int32)


def _source(prefix: str, words: NDArray[np.int32], kernels: str, note: str) -> str:
    comment = ctext.comment(f"{note}\nWritten by firmware_export/emission/tanh_source.py; a test compares.")
    array = ctext.array("int32_t", f"{prefix}_table", words, rom=True, public=True)
    crc = ctext.number("uint32_t", f"{prefix}_crc", zlib.crc32(words.astype("<i4").tobytes()), rom=True)
    includes = ctext.include("es_kernel.h") + ctext.include("es_tanh.h")
    return f"{comment}{includes}\n#if {kernels}\n{array}{crc}#endif\n"


def tanh_source() -> str:
    """Text of ``es_tanh.c``: the 256 words of SPEC.md, section 5, as signed 32-bit numbers."""
    return _source(
        "es_tanh",
        packed_table().view(np.int32),
        "!ES_DSP_TABLE",
        "The activation table (SPEC.md, section 5): word k is base[k] * 2^16 + slope[k], for x from -8 + k / 16.",
    )


def tanh_dsp_source() -> str:
    """Text of ``es_tanh_dsp.c``: the words of :func:`dsp_words`."""
    return _source(
        "es_tanh_dsp",
        dsp_words(),
        "ES_DSP_TABLE",
        "The activation table as the Thumb-2 kernels want it: word k is base[k] * 2^16 + slope[k] (es_tanh.c), less\n"
        "slope[k] * 4096 times the lowest four bits of k as a signed number, modulo 2^32. Then word + slope * low,\n"
        "low the low 16 bits of the argument as a signed number, is what the plain C computes of the low 12.",
    )


if __name__ == "__main__":
    sys.stdout.write(tanh_dsp_source() if sys.argv[1:] == ["dsp"] else tanh_source())
