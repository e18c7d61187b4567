"""edge-seq sign."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import JsonOption, print_json, print_line
from edge_seq.support.errors import ConfigError


def command(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of an exported run. Not needed with --new-key alone.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Private key that signs, from --new-key.", show_default=False)
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(
            help="Make a pair of keys first: the private key in this file, which only you can read, and the public key "
            "beside it with the ending .pub.pem.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign the exports of a run (Ed25519). The signature covers every file below exports, and lies beside them.

    An export after that makes the signature invalid: sign again. Everybody who has the public key can check it with
    `edge-seq verify RUN --key PUBLIC` and `edge-seq device load BLOB --key PUBLIC`. Keep the private key secret, and
    out of the repository.

    Example: edge-seq sign --new-key release.pem
    Example: edge-seq sign runs/hapt --key release.pem
    """
    from edge_seq.evidence.signing import make_keys
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.release.sign import sign_run

    if key is not None and new_key is not None:
        raise ConfigError("signing: --key and --new-key were given; --new-key signs with the key that it makes")
    if run is not None and key is None and new_key is None:
        raise ConfigError(f"signing {run.name}: give --key FILE, or --new-key FILE to make one")
    if run is None and new_key is None:
        raise ConfigError("signing: give the folder of a run and --key FILE, or --new-key FILE alone")
    opened = None if run is None else open_run(run)
    made = None if new_key is None else make_keys(new_key)
    private = new_key or key
    signed = None if opened is None or private is None else sign_run(opened, private)
    if as_json:
        print_json({"public_key": None if made is None else str(made), "files": {} if signed is None else signed.files})
        return
    if made is not None:
        print_line(
            f"{new_key} is the private key: keep it secret. {made} is the public key: give it to those who check"
        )
    if signed is not None:
        print_line(f"{len(signed.files)} files of {run} are signed, in exports/signature.json")
