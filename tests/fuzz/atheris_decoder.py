"""The host's side of the wire under atheris, a fuzzer that is guided by coverage.

python -m tests.fuzz.atheris_decoder -runs=1000000 -max_len=400 CORPUS: the options are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["edge_seq.device"]):
    from tests.fuzz.python_decoder import one_input


def main() -> None:
    """Until the end of the options' runs; an exception ends the process."""
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
