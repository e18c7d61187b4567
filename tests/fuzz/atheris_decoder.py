"""Fuzzes the host side of the wire with atheris, a coverage-guided fuzzer.

python -m tests.fuzz.atheris_decoder -runs=1000000 -max_len=400 CORPUS: the options are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["edge_seq.device"]):
    from tests.fuzz.python_decoder import one_input


def main() -> None:
    """Fuzz until the number of runs in the options is reached; an exception ends the process."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
