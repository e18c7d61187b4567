"""edge-seq import."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import (
    CHECK_FAILED,
    JsonOption,
    SetOption,
    percent,
    print_json,
    print_line,
    print_table,
    print_warning,
    progress,
)


def command(
    model: Annotated[
        Path,
        typer.Argument(
            help="File of the network: .keras or .h5 (Keras), .onnx, or weights of PyTorch (.safetensors, .pt, .pth)."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Data source (TOML) of the recordings that calibrate and test the model.", show_default=False
        ),
    ] = None,
    contract: Annotated[
        Path | None,
        typer.Option(
            help="Sensor contract (TOML) instead of recordings: sample_rate_hz, channels, window_length and "
            "window_stride. Needs --labels.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run; new, empty, or of an interrupted import.")
    ] = Path("runs/imported"),
    labels: Annotated[
        str | None,
        typer.Option(
            help="Class names in the order of the network's outputs, with commas between them. Default: the order of "
            "the data source.",
            show_default=False,
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            help="Mean that was subtracted before the network, in the units of the data source: one number a channel "
            "with commas between them, or one for all. Default: 0.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Scale (standard deviation) by which values were divided before the network, as --mean. Default: 1.",
            show_default=False,
        ),
    ] = None,
    scaler: Annotated[
        Path | None,
        typer.Option(
            help="File with both, instead of --mean and --scale: .json, .npz or .safetensors with mean and scale.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="For weights of PyTorch: their modules and the functions between them, in order, for example "
            "lstm,last,fc or rnn(tanh),mean,fc.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the model, a C identifier in lower case. Default: made from the file name.",
            show_default=False,
        ),
    ] = None,
    override: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a run folder from a network that was trained with Keras or PyTorch.

    The network becomes a float model. What is linear, such as batch normalisation, is folded into its neighbours;
    what cannot be represented is refused by name. Nothing of the file is run while it is read. Recordings from the
    data source calibrate and test the model. The network is compared with the float model by its own framework, if
    that is installed: here and as the first rung of `edge-seq verify`. The exit code is 1 if they differ.

    On the run the other commands work as after a training: quantize, evaluate, decide, export, verify, measure,
    report.

    Example: edge-seq import model.keras --data recordings.toml --mean 0,0,9.81 --scale 2.5 --out runs/imported
    Example: edge-seq import weights.safetensors --layers lstm,last,fc --data recordings.toml
    """
    from edge_seq.frontends.scaler import parse_numbers, read_scaler
    from edge_seq.pipeline.config import load_config, name_of_source, quote
    from edge_seq.support.errors import ConfigError
    from edge_seq.workflow.importing.import_run import import_run

    if (data is None) == (contract is None):
        raise ConfigError(
            f"importing {model.name}: give --data SOURCE.toml, or --contract CONTRACT.toml if there are no recordings"
        )
    means = None if mean is None else parse_numbers(mean, "--mean")
    scales = None if scale is None else parse_numbers(scale, "--scale")
    if scaler is not None:
        if means is not None or scales is not None:
            raise ConfigError(f"importing {model.name}: --scaler and --mean or --scale exclude each other; give one")
        means, scales = read_scaler(scaler)
    source = data if data is not None else contract
    config = load_config(
        None,
        [
            f"data.source={quote(str(source))}",
            f"name={quote(name if name is not None else name_of_source(model.name))}",
            *(override or []),
        ],
    )
    with progress("importing", 3, quiet=as_json) as update:
        summary = import_run(
            out,
            model,
            config,
            contract=contract,
            labels=_words(labels),
            layers=_words(layers),
            mean=means,
            scale=scales,
            progress=lambda done, total, what: update(done, total, note=what),
        )
    failed = summary.check is not None and summary.check.verdict == "failed"
    if as_json:
        print_json({"run": str(out), **summary.to_dict()})
    else:
        print_table(
            f"{summary.file}: what was done", ["note"], [[note] for note in summary.notes or ("nothing to say",)]
        )
        if summary.training_accuracy is not None:
            print_line(f"labels right on training windows: {percent(summary.training_accuracy)}")
        if summary.check is not None:
            print_line(f"{summary.check.name}: {summary.check.verdict}; {summary.check.detail}")
        for warning in (*summary.warnings, summary.note.warning):
            print_warning(warning)
        print_line(f"next: edge-seq {'inspect' if contract is not None else 'quantize'} {shlex.quote(str(out))}")
    if failed:
        raise typer.Exit(CHECK_FAILED)


def _words(text: str | None) -> tuple[str, ...]:
    """Parts of an option, separated by commas."""
    return () if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
