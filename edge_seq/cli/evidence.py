"""edge-seq evidence."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from edge_seq.cli.output import CHECK_FAILED, JsonOption, print_json, print_line, print_table
from edge_seq.support.errors import ConfigError

_WHAT = "evidence: give the folder of a run and --out FOLDER to make evidence, or --check FOLDER to check it"


def command(
    run: Annotated[
        Path | None,
        typer.Argument(help="Folder of a run that was verified and measured. With --check: run that it must be of."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.", show_default=False)] = None,
    check: Annotated[
        Path | None, typer.Option(help="Folder of evidence to check, offline.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="With --out the private key that signs the folder, with --check the public key of the signer "
            "(edge-seq sign --new-key). Default: no signature.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Gather the evidence for a release of a run's firmware in one folder, or check such a folder.

    The folder has a page, index.html: claims, each with the file that shows it and the tests behind it; the ladder on
    every target that was verified; range proof; constant-time counts and worst stack of every target that was
    measured; the report of cppcheck's MISRA add-on with all deviations; the components (CycloneDX); versions, hashes
    of all inputs and outputs, and the commands that make them again. The same run gives the same bytes on every
    machine; only a signature has a date. Verify and measure first, on all targets that you ship.

    --check compares hashes, computes every claim again from its file, and with a run compares the run's files.

    The exit code is 1 if a claim fails or a check finds something.

    Example: edge-seq evidence runs/hapt --out evidence
    Example: edge-seq evidence --check evidence
    """
    from edge_seq.evidence.misra import find_cppcheck
    from edge_seq.workflow.folder import open_run
    from edge_seq.workflow.release.evidence import check_against, make_evidence, to_table

    if (out is None) == (check is None) or (out is not None and run is None):
        raise ConfigError(_WHAT)
    opened = None if run is None else open_run(run)
    if check is not None:
        wrong = check_against(check, run=opened, public_key=key)
        if as_json:
            print_json({"holds": not wrong, "wrong": wrong})
        else:
            for line in wrong:
                print_line(f"WRONG: {line}")
            if not wrong:
                signed = f"signed by the key {key.name}" if key is not None else _by_whom(check)
                print_line(f"{check}: hashes agree, every claim is what its file shows; {signed}")
        if wrong:
            raise typer.Exit(CHECK_FAILED)
        return
    if opened is None or out is None:
        raise ConfigError(_WHAT)
    index = make_evidence(
        opened,
        out,
        cppcheck=find_cppcheck(),
        private_key=key,
        progress=lambda text: None if as_json else print_line(f"{text} ..."),
    )
    if as_json:
        print_json(to_table(index))
    else:
        tally = Counter(claim.status for claim in index.claims)
        print_table(f"claims about {index.model}", ["status", "claims"], [[one, str(n)] for one, n in tally.items()])
        for claim in index.failed:
            print_line(f"FAILED: {claim.claim} {claim.detail}")
        print_line(f"read {out / 'index.html'}; check with: edge-seq evidence --check {out}")
    if index.failed:
        raise typer.Exit(CHECK_FAILED)


def _by_whom(folder: Path) -> str:
    """What a check without a key leaves open: who can change a file can change its hash and sign it too."""
    from edge_seq.evidence.signing import key_of

    if key := key_of(folder):
        return (
            f"whole since it was signed with the key {key}, whosever that is: give --key with the public key of the "
            "signer to check who signed it"
        )
    return "it is not signed, so whoever changes a file can change its hash too"
