"""The `edge-seq` command, its subcommands and their error handling.

Exit codes: 0, success; 1, a check failed; 2, wrong use, unusable input or a file that cannot be read or written; 70, a
defect of this program; 130, interrupted; 141, the reader of the output closed it. Heavy packages are imported inside
the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import os
import sys
import traceback
from typing import Annotated, Any

import typer

from edge_seq.cli import (
    bench,
    compare,
    cross_validate,
    data,
    decide,
    demo,
    device,
    distill,
    evaluate,
    evidence,
    export,
    import_model,
    inspect,
    measure,
    monitor,
    page,
    quantize,
    record,
    report,
    robustness,
    run,
    search,
    sign,
    simulate,
    train,
    verify,
)
from edge_seq.cli.output import print_error, print_json_error, print_line, print_stderr_line, write_every_character
from edge_seq.support.errors import EdgeSeqError, ToolError
from edge_seq.support.memory import LIMIT, UnusableFileError, parse_size
from edge_seq.support.stderr import VisibleFormatter

UNUSABLE, DEFECT, INTERRUPTED, OUTPUT_CLOSED = 2, 70, 130, 141
# State after an interruption, by command. Files are replaced whole, so none is ever half written.
AFTER_INTERRUPT = {
    "train": "the same command resumes it",
    "distill": "the same command resumes the training",
    "cross-validate": "the same command resumes it",
    "demo": "the same command resumes the training and starts the other steps again",
    "search": "finished trainings are kept, and the same command continues",
    "compare": "finished trainings are kept, and the same command continues",
    "run": "all samples up to here were classified",
    "record": "all samples up to here are in the file",
    "monitor": "nothing was kept",
}
_ADVICE = {
    errno.ENOSPC: "the disk is full: make room, or give a path on another disk",
    getattr(errno, "EDQUOT", -1): "your share of the disk is full: make room, or give a path on another disk",
    errno.EFBIG: "files of this size are not allowed here; give another path",
    errno.EIO: "the disk is damaged or was removed",
}
_OTHERWISE = "give another path, or change its permissions"
# The base class of typer's usage errors, which typer does not export.
_UsageProblem: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    name="edge-seq",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recurrent networks for microcontrollers: train, quantize, export as ONNX and C, and prove that every export "
    "gives exactly the same answer.",
    epilog="Start with: edge-seq demo.  Exit codes: 0 success, 1 a check failed, 2 wrong use or input, "
    "130 interrupted.",
)


def _print_version(asked: bool) -> None:
    if asked:
        print_line(f"edge-seq {importlib.metadata.version('edge-seq')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            envvar=LIMIT,
            help="Most memory that one file may take when it is read, for example 8G. The default is a quarter of this "
            "computer's memory.",
        ),
    ] = None,
) -> None:
    if memory_limit is not None:
        try:
            os.environ[LIMIT] = str(parse_size(memory_limit))  # worker processes inherit it
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--memory-limit") from error


app.command("demo")(demo.command)
app.command("simulate")(simulate.command)
app.add_typer(data.app, name="data")
app.command("train")(train.command)
app.command("import")(import_model.command)
app.command("distill")(distill.command)
app.command("cross-validate")(cross_validate.command)
app.command("evaluate")(evaluate.command)
app.command("quantize")(quantize.command)
app.command("decide")(decide.command)
app.command("export")(export.command)
app.command("verify")(verify.command)
app.command("measure")(measure.command)
app.command("bench")(bench.command)
app.command("robustness")(robustness.command)
app.command("compare")(compare.command)
app.command("search")(search.command)
app.command("report")(report.command)
app.command("sign")(sign.command)
app.command("evidence")(evidence.command)
app.command("run")(run.command)
app.command("page")(page.command)
app.command("record")(record.command)
app.command("monitor")(monitor.command)
app.command("inspect")(inspect.command)
app.add_typer(device.app, name="device")


def main() -> None:
    """Run the command line. Every error that has a cause outside the program becomes one message and exit code 2."""
    write_every_character()
    if logging.lastResort is not None:  # prints warnings of the library, which name files and cells of others
        logging.lastResort.setFormatter(VisibleFormatter())
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    own = {arguments.index("--memory-limit") + 1} if "--memory-limit" in arguments else set()
    command = next((one for at, one in enumerate(arguments) if not one.startswith("-") and at not in own), "")
    code = UNUSABLE
    try:
        code = app(prog_name="edge-seq", standalone_mode=False) or 0
    except EdgeSeqError as error:
        print_error(error, as_json=as_json, one_line=command == "run")
    except _UsageProblem as problem:
        if as_json:
            print_json_error("UsageError", problem.format_message(), one_line=command == "run")
        problem.show()
    except typer.Abort:
        code = INTERRUPTED
    except SystemExit as end:  # typer's answer to a closed pipe
        if not (isinstance(end.__context__, OSError) and end.code == 1):
            raise
        code = OUTPUT_CLOSED
    except UnusableFileError as error:
        print_error(ToolError(f"cannot read {error.filename}: {error}"), as_json=as_json, one_line=command == "run")
    except OSError as error:
        what = error.filename or "a file"
        failed = ToolError(
            f"cannot read or write {what}: {error.strerror or error}; {_ADVICE.get(error.errno or 0, _OTHERWISE)}"
        )
        print_error(failed, as_json=as_json, one_line=command == "run")
    except Exception as error:  # noqa: BLE001 - a defect of this program must not read as a check that failed
        print_stderr_line(traceback.format_exc().rstrip())
        defect = EdgeSeqError(f"defect in edge-seq, please report it: {type(error).__name__}: {error}")
        print_error(defect, as_json=as_json, one_line=command == "run")
        code = DEFECT
    if code == INTERRUPTED:
        after = AFTER_INTERRUPT.get(command, "no file is half written; the same command starts again")
        print_error(EdgeSeqError(f"interrupted; {after}"), as_json=as_json, one_line=command == "run")
    sys.exit(code)
