"""The `edge-seq` command: its subcommands, and what every one of them does with an error.

Exit codes: 0, it holds; 1, a check failed; 2, wrong use or unusable input. Heavy packages are imported inside the
commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from edge_seq.cli import demo, evaluate, export, inspect, quantize, run, simulate, train, verify
from edge_seq.cli.output import print_error
from edge_seq.errors import EdgeSeqError

app = typer.Typer(
    name="edge-seq",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent networks for microcontrollers: train, quantize, export as ONNX and C, and prove that every export "
    "gives exactly the same answer.",
    epilog="Start with: edge-seq demo.  Exit codes: 0 it holds, 1 a check failed, 2 wrong use.",
)

app.command("demo")(demo.command)
app.command("simulate")(simulate.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)
app.command("quantize")(quantize.command)
app.command("export")(export.command)
app.command("verify")(verify.command)
app.command("run")(run.command)
app.command("inspect")(inspect.command)


def main() -> None:
    """Run the command line; errors raised on purpose become one message and exit code 2."""
    try:
        app()
    except EdgeSeqError as error:
        print_error(error, as_json="--json" in sys.argv[1:])
        sys.exit(2)
    except KeyboardInterrupt:
        print_error(EdgeSeqError("interrupted; an interrupted training resumes with the same command"), as_json=False)
        sys.exit(130)
