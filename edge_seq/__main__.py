"""`python -m edge_seq`: the same as `edge-seq`, where the script is not on PATH."""

from edge_seq.cli import main

if __name__ == "__main__":
    main()
