"""A folder of evidence: an index with hashes and claims, the files that support them, and a page to read.

The same run gives the same bytes on every machine that has the same release of edge_seq and of the packages in the
list of components. Only a signature has a date.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_seq.evidence.claims import (
    BILL,
    DECISION,
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
from edge_seq.evidence.index import FORMAT, Evidence
from edge_seq.evidence.page import evidence_page
from edge_seq.evidence.sbom import c_files_of
from edge_seq.evidence.signing import SIGNATURE, check_folder, check_whole, hashes_of, sign_folder, signed_list
from edge_seq.support.errors import ConfigError, DataError
from edge_seq.support.files import json_text, write_atomically
from edge_seq.support.json_tables import load_json, load_result
from edge_seq.support.opening import read_bytes
from edge_seq.support.results import to_plain

INDEX, PAGE, DATE = "evidence.json", "index.html", "signed_on.json"
EXPORTS_SIGNATURE = "model/exports_signature.json"
LISTED = 10  # problems that a message names


def write_folder(
    out: Path, index: Evidence, files: Mapping[str, bytes], *, private_key: Path | None = None, date: str = ""
) -> Evidence:
    """Write a folder of evidence. An earlier one in its place is replaced when the new one is complete.

    Args:
        out: the folder.
        index: the index, without hashes of files.
        files: content of the supporting files by path.
        private_key: key that signs the folder; None signs nothing.
        date: date of the signature, ``YYYY-MM-DD``.

    Returns:
        The index as written.

    Raises:
        ConfigError: the folder exists and is not one of evidence, or the key cannot be used.
    """
    if out.exists() and not (out / INDEX).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"evidence: {out} exists and is not a folder of evidence; give another path")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as made:
        folder = Path(made) / out.name
        folder.mkdir()
        for name, content in sorted(files.items()):
            write_atomically(folder / name, content)
        done = replace(index, files=hashes_of(folder))
        write_atomically(folder / PAGE, evidence_page(done))
        done = replace(done, files=hashes_of(folder))
        write_atomically(folder / INDEX, json_text(done) + "\n")
        if private_key is not None:
            write_atomically(folder / DATE, json_text({"signed_on": date}) + "\n")
            sign_folder(folder, private_key)
        if out.exists():
            shutil.move(str(out), str(Path(made) / "before"))
        folder.rename(out)
    return done


def check_evidence(
    folder: Path, *, run_inputs: Mapping[str, str] | None = None, run_outputs: Mapping[str, str] | None = None
) -> list[str]:
    """Check a folder of evidence, without network and without the run.

    Args:
        folder: the folder.
        run_inputs, run_outputs: hashes of a run that it must be of; None for those that are not compared.

    Returns:
        What is wrong; empty if the hashes agree, every claim is what its file shows, and the page shows the index.

    Raises:
        ConfigError: it is not a folder of evidence.
    """
    if not (folder / INDEX).is_file():
        raise ConfigError(f"checking {folder}: it has no {INDEX}; give a folder that edge-seq evidence RUN --out made")
    try:
        index = load_result(folder / INDEX, Evidence)
        signed = (SIGNATURE, DATE) if (folder / SIGNATURE).is_file() else ()
        found = hashes_of(folder, without=(INDEX, *signed))
        written = read_bytes(folder / INDEX)
    except (DataError, OSError) as error:
        return [str(error)]
    if index.format != FORMAT:
        return [f"{INDEX} has format {index.format!r}, this release reads {FORMAT!r}"]
    wrong = _differences("file", index.files, found)
    if written != f"{json_text(index)}\n".encode():
        wrong.append(f"{INDEX} is not as edge-seq evidence writes it")
    for what, ours, theirs in (("input", index.inputs, run_inputs), ("export", index.outputs, run_outputs)):
        if theirs is not None:
            wrong += [f"{line} in the run" for line in _differences(what, ours, theirs)]
    try:
        documents = {name: load_json(folder / name) for name in DOCUMENTS if (folder / name).is_file()}
        missing = [name for name in DOCUMENTS if name not in documents and name not in _NOT_ALWAYS]
        if missing:
            return [*wrong, f"{', '.join(missing)} missing, so the claims cannot be checked"]
        wrong += _claims(index, documents)
        wrong += _identity(index, documents)
        wrong += _scores_of_other_models(index, documents)
        if (folder / EXPORTS_SIGNATURE).is_file():
            wrong += signed_exports(folder / EXPORTS_SIGNATURE, index.outputs)
        page = evidence_page(replace(index, files={name: one for name, one in index.files.items() if name != PAGE}))
        if (folder / PAGE).is_file() and (folder / PAGE).read_bytes() != page.encode("utf-8"):
            wrong.append(f"{PAGE} is not what {index.edge_seq} of edge_seq shows of {INDEX}")
    except (DataError, KeyError, TypeError, ValueError) as error:
        wrong.append(f"a table is damaged: {error}")
    return wrong


DOCUMENTS = (VERIFY, MEASURE, SCORES, MANIFEST, BILL, MISRA, QUANTIZATION, DECISION, STREAM, ROBUSTNESS)
_NOT_ALWAYS = (SCORES, QUANTIZATION, DECISION, STREAM, ROBUSTNESS)  # of steps that need not be run


def signed_exports(path: Path, outputs: Mapping[str, str]) -> list[str]:
    """How the exports differ from those that a ``signature.json`` lists, whoever signed it.

    Raises:
        ToolError: the package ``cryptography`` is not installed.
    """
    signed, fault = signed_list(path)
    if signed is None:
        return [f"{path.name}: {fault}"]
    return [f"{line} in the signature of the exports" for line in _differences("export", outputs, signed)]


def check_signature(folder: Path, public_key: Path | None) -> list[str]:
    """Check the signature of a folder of evidence: what is wrong, or nothing. Without a key, by its own."""
    fault = check_whole(folder) if public_key is None else check_folder(folder, public_key)
    return [] if fault is None else [f"signature: {fault}"]


def _differences(what: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    return [
        *(f"{what} {name} differs" for name in sorted(ours) if name in theirs and theirs[name] != ours[name]),
        *(f"{what} {name} is missing" for name in sorted(ours) if name not in theirs),
        *(f"{what} {name} is not listed" for name in sorted(theirs) if name not in ours),
    ]


def _claims(index: Evidence, documents: Mapping[str, Any]) -> list[str]:
    """Compare the claims with what the files say now."""
    shown = claims_of(documents)
    wrong = [
        f"claim {ours.claim!r} says {ours.status}, {ours.detail!r}; {ours.evidence or 'the toolkit'} says "
        f"{theirs.status}, {theirs.detail!r}"
        for ours, theirs in zip(index.claims, shown, strict=False)
        if to_plain(ours) != to_plain(theirs)
    ]
    if len(index.claims) != len(shown):
        wrong.append(f"{len(index.claims)} claims, the files support {len(shown)}")
    return wrong


def _identity(index: Evidence, documents: Mapping[str, Any]) -> list[str]:
    """Check that all files are about one model, one contract and the listed exports."""
    wrong = []
    named = {
        name: documents[name].get("model_hash")
        for name in (VERIFY, MEASURE, MANIFEST, DECISION, STREAM)
        if name in documents
    }
    wrong += [
        f"{name} is about model {str(digest)[:16]}, the index about {index.model_hash[:16]}"
        for name, digest in named.items()
        if digest != index.model_hash
    ]
    if documents[VERIFY].get("c_sha256") != documents[MEASURE].get("c_sha256"):
        wrong.append(f"{VERIFY} and {MEASURE} are about different C")
    if documents[MANIFEST]["contract"] != index.contract:
        wrong.append(f"{MANIFEST} has another contract than the index")
    listed = {
        one["name"]: one["hashes"][0]["content"] for one in documents[BILL]["components"] if one["type"] == "file"
    }
    c_files = c_files_of(index.outputs)
    wrong += [f"{line} in {BILL}" for line in _differences("C file", c_files, listed)]
    if documents[MISRA]["tool"] is not None:
        read = dict.fromkeys(documents[MISRA]["files"], "")
        sources = {name: "" for name in c_files if name.endswith(".c")}
        wrong += [f"{line} in {MISRA}" for line in _differences("C file", sources, read)]
    return wrong


def _scores_of_other_models(index: Evidence, documents: Mapping[str, Any]) -> list[str]:
    """Tables of the labels, which do not depend on the decision stage: all are about the model without one."""
    quantization = documents.get(QUANTIZATION, {})
    decided = documents.get(DECISION, {}).get("stage") is not None
    without = quantization.get("model_hash") if decided else index.model_hash
    float_model = quantization.get("float_model_hash")
    found = [(QUANTIZATION, "model_hash", (without,)), (ROBUSTNESS, "model_hash", (without, index.model_hash))]
    found.append((SCORES, "int_model_hash", (without,)))
    if QUANTIZATION in documents:
        found.append((SCORES, "model_hash", (float_model,)))
    return [
        f"{name} is about model {str(documents[name].get(key))[:16]}, expected {str(allowed[0])[:16]}"
        for name, key, allowed in found
        if name in documents and documents[name].get(key) not in allowed
    ]
