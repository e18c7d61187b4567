"""edge-seq evidence: what shows that a run's firmware is what it claims to be, in one folder."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from edge_seq.evidence.claims import (
    BILL,
    DECISION,
    DEVIATIONS,
    MANIFEST,
    MEASURE,
    MISRA,
    QUANTIZATION,
    ROBUSTNESS,
    SCORES,
    STREAM,
    VERIFY,
    claims_of,
)
from edge_seq.evidence.folder import (
    EXPORTS_SIGNATURE,
    check_evidence,
    check_signature,
    signed_exports,
    write_folder,
)
from edge_seq.evidence.index import FORMAT, Evidence
from edge_seq.evidence.misra import DEVIATIONS as SUPPRESSIONS
from edge_seq.evidence.misra import REASONS, check_misra
from edge_seq.evidence.sbom import bill_of_materials, c_files_of, installed_packages
from edge_seq.evidence.signing import SIGNATURE, hashes_of
from edge_seq.ir.contract import contract_to_dict
from edge_seq.ir.model import IntModel
from edge_seq.pipeline.exports import c_sha256, render_c
from edge_seq.report.figures import RunFigures
from edge_seq.report.words import limits_of, summary_rows
from edge_seq.support.errors import ConfigError
from edge_seq.support.files import json_text
from edge_seq.support.opening import parse_json, read_bytes
from edge_seq.support.results import to_plain
from edge_seq.workflow.export import emitted_c, golden_counts_of
from edge_seq.workflow.folder import RunFolder, load_run_int, writing
from edge_seq.workflow.report import gather_run

LISTED = 4  # changes that a message names
_NEEDED = ("verify", "measure")
_NO_INPUTS = ("checkpoint/", "exports/", "reports/report.html", "reports/page.html", "reports/verify.xml")


def make_evidence(
    run: RunFolder,
    out: Path,
    *,
    cppcheck: str | None,
    private_key: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Evidence:
    """Gather what shows that the firmware of a run is what it claims to be, and write it to a folder.

    Args:
        run: Folder of a run that was exported, verified and measured.
        out: Folder to write; an earlier folder of evidence there is replaced.
        cppcheck: Path of cppcheck, or None to leave out its report.
        private_key: Key that signs the folder; None signs nothing.
        progress: Called with the current step.

    Returns:
        The index of the folder.

    Raises:
        ConfigError: a step was not run, or is about another model or other C (the message says which command to run);
            or the folder lies in the run.
        ParityError: an exported file is not what the run's model gives now.
        ToolError: the package ``cyclonedx-python-lib`` or ``cryptography`` is not installed.
    """
    if out.absolute().is_relative_to(run.path.absolute()):
        raise ConfigError(
            f"gathering evidence of {run.path.name}: {out} is in the run, whose files it lists; give a folder beside it"
        )
    with writing(run):
        figures = gather_run(run)
        model = load_run_int(run)
        _require_steps(run, figures, model)
        outputs = hashes_of(run.exports.path, without=(SIGNATURE,))
        signature = run.exports.path / SIGNATURE
        if signature.is_file() and (changes := signed_exports(signature, outputs)):
            raise ConfigError(
                f"gathering evidence of {run.path.name}: the exports are not those that were signed: "
                + ", ".join(changes[:LISTED])
                + (f", and {len(changes) - LISTED} more" if len(changes) > LISTED else "")
                + f". Sign them again: {run.command('sign')} --key FILE"
            )
        with emitted_c(run, model, doing=f"gathering evidence of {run.path.name}") as sources:
            manifest = read_bytes(sources / "manifest.json")
            table = parse_json(manifest)
            others = sorted(path for part in ("load", "wire") for path in (sources / "runtime" / part).glob("*.c"))
            named = (
                *table["sources"],
                *table["golden_sources"],
                *(one.relative_to(sources).as_posix() for one in others),
            )
            progress("reading the C with cppcheck's MISRA add-on" if cppcheck else "cppcheck is not installed")
            misra = check_misra(sources, tuple(str(name) for name in named), cppcheck)
        packages = {**_packages_of(figures.versions), **installed_packages()}
        files = {
            MANIFEST: manifest,
            VERIFY: read_bytes(run.reports / "verify.json"),
            MEASURE: read_bytes(run.reports / "measure.json"),
            MISRA: (json_text(misra) + "\n").encode(),
            DEVIATIONS: read_bytes(REASONS),
            f"misra/{SUPPRESSIONS.name}": read_bytes(SUPPRESSIONS),
            BILL: bill_of_materials(model.name, figures.model.model_hash, c_files_of(outputs), packages).encode(),
        }
        for name, path in ((SCORES, run.metrics("test")), *_tables_of_the_card(run)):
            if path.is_file():
                files[name] = read_bytes(path)
        if signature.is_file():
            files[EXPORTS_SIGNATURE] = read_bytes(signature)
        index = Evidence(
            format=FORMAT,
            model=model.name,
            model_hash=figures.model.model_hash,
            edge_seq=importlib.metadata.version("edge-seq"),
            contract=contract_to_dict(model.contract),
            summary=tuple((name, value) for name, value in summary_rows(figures)),
            limits=tuple(limits_of(figures)),
            versions=figures.versions,
            commands=_commands(run, figures, signed=private_key is not None),
            inputs=inputs_of(run),
            outputs=outputs,
            claims=claims_of(_tables(files)),
            files={},
        )
        today = datetime.now(timezone.utc).date().isoformat()
        return write_folder(out, index, files, private_key=private_key, date=today)


def check_against(folder: Path, *, run: RunFolder | None = None, public_key: Path | None = None) -> list[str]:
    """Check a folder of evidence offline.

    Args:
        folder: Folder from :func:`make_evidence`.
        run: Run that it must be of; None compares none.
        public_key: Key that must have signed it; None compares the files with the list of a signature, whosever it is.

    Returns:
        What is wrong.

    Raises:
        ConfigError: it is not a folder of evidence, or the key cannot be used.
    """
    inputs = outputs = None
    if run is not None:
        inputs = inputs_of(run)
        outputs = hashes_of(run.exports.path, without=(SIGNATURE,)) if run.exports.path.is_dir() else {}
    return check_signature(folder, public_key) + check_evidence(folder, run_inputs=inputs, run_outputs=outputs)


def inputs_of(run: RunFolder) -> dict[str, str]:
    """SHA-256 of the files of a run that its exports and figures come from, by path in it."""
    return {
        name: digest
        for name, digest in hashes_of(run.path).items()
        if not name.startswith(_NO_INPUTS) and not name.rpartition("/")[2].startswith(".")
    }


def _require_steps(run: RunFolder, figures: RunFigures, model: IntModel) -> None:
    """Refuse a run whose verification or measurement is missing, or of another model or other C."""
    doing = f"gathering evidence of {run.path.name}"
    if figures.stale:
        raise ConfigError(f"{doing}: {'. '.join(figures.stale.values())}")
    c_now = c_sha256(render_c(model, golden_counts_of(run)))
    for name, found in (("verify", figures.verify), ("measure", figures.measure)):
        if found is not None and found.c_sha256 != c_now:
            raise ConfigError(
                f"{doing}: {name} is about other C than the run's model gives now; run again: {figures.steps[name]}"
            )
    if missing := [figures.missing[name] for name in _NEEDED if name in figures.missing]:
        raise ConfigError(f"{doing}: steps are missing; run: {' && '.join(missing)}")


def _packages_of(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions of the packages that trained or imported the model; torch, for one, is nothing that a release needs."""
    ours = ("python", "edge_seq")
    return {name: version for name, version in versions.items() if not name.startswith(ours)}


def _tables_of_the_card(run: RunFolder) -> tuple[tuple[str, Path], ...]:
    """Tables that the model card has figures of, besides those that claims rest on: paths in the evidence and here."""
    return (
        (QUANTIZATION, run.quantization),
        (DECISION, run.decision),
        (STREAM, run.stream_metrics("test")),
        (ROBUSTNESS, run.reports / "robustness.test.json"),
    )


def _commands(run: RunFolder, figures: RunFigures, *, signed: bool) -> tuple[str, ...]:
    """Commands that make the run and its evidence again, without the run's place on this machine. A step that was not
    run would add files that the list of inputs does not have."""
    not_run = set(figures.missing.values())
    first, *others = figures.commands
    if figures.imported is not None:
        first = _import_again(first, run)
    chosen = [first, *(command for command in others if " report " not in command and command not in not_run)]
    if (run.exports.path / SIGNATURE).is_file():
        exported = next(
            at for at, command in enumerate(chosen) if f"{command} ".startswith(f"{run.command('export')} ")
        )
        chosen.insert(exported + 1, f"{run.command('sign')} --key KEY")
    commands = [shlex.join(_in_run(word, run.path) for word in shlex.split(command)) for command in chosen]
    return (*commands, "edge-seq evidence RUN --out evidence" + " --key KEY" * signed)


def _import_again(command: str, run: RunFolder) -> str:
    """The command of an import, which names the folder of its day: with the run's folder, and the files without theirs.

    >>> _import_again("edge-seq import there/net.onnx --out old --data there/car.toml", RunFolder(Path("runs/car")))
    'edge-seq import net.onnx --out runs/car --data car.toml'
    """
    words = shlex.split(command)
    of_files = {2, *(at + 1 for at, word in enumerate(words) if word in ("--data", "--contract"))}
    words = [Path(word).name if at in of_files else word for at, word in enumerate(words)]
    words[words.index("--out") + 1] = str(run.path)
    return shlex.join(words)


def _in_run(word: str, path: Path) -> str:
    """A word of a command, with RUN for the folder of the run.

    >>> _in_run("/my runs/car/config.toml", Path("/my runs/car")), _in_run("--out", Path("/my runs/car"))
    ('RUN/config.toml', '--out')
    """
    inside = word == str(path) or word.startswith(f"{path}{os.sep}")
    return f"RUN{word[len(str(path)) :]}" if inside else word


def _tables(files: Mapping[str, bytes]) -> dict[str, object]:
    return {name: parse_json(content) for name, content in files.items() if name.endswith(".json")}


def to_table(index: Evidence) -> dict[str, object]:
    """The claims and their tally, for ``--json``."""
    return {"model_hash": index.model_hash, "failed": len(index.failed), "claims": to_plain(index.claims)}
