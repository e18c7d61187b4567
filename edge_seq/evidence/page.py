"""The page of a folder of evidence: one file without network, for somebody who audits a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from edge_seq.evidence.claims import STATUS_TEXTS, Claim
from edge_seq.evidence.index import Evidence
from edge_seq.ir.contract import Preprocessing
from edge_seq.report.markup import Child, Html, bullets, code_block, facts, join, table, tag
from edge_seq.report.page import Section, page

_PLACES = (
    "RUN is the folder of the run, KEY the private key of who signs. The files of the run, with its data, have the "
    "hashes below."
)


def evidence_page(index: Evidence) -> str:
    """Make the page."""
    sections = [
        Section("verdict", "What this folder shows", _verdict(index)),
        Section("claims", "Claims and their evidence", _claims(index)),
        Section("model", "Model card", _card(index)),
        Section("contract", "Sensor contract", _contract(index)),
        Section("again", "Make it again", _again(index)),
        Section("files", "Hashes", _hashes(index)),
    ]
    return page(
        f"Evidence: {index.model}", f"model {index.model_hash}", sections, made_by=f"edge-seq evidence {index.edge_seq}"
    )


def _verdict(index: Evidence) -> Html:
    tally = Counter(claim.status for claim in index.claims)
    rows: list[list[Child]] = [[status, tally[status], text] for status, text in STATUS_TEXTS.items()]
    failed = [tag("p", f"Failed: {claim.claim} {claim.detail}", class_="warning") for claim in index.failed]
    missing = [f"{claim.claim} {claim.detail}" for claim in index.claims if claim.status == "not shown"]
    return join(
        [
            *failed,
            table("Claims by status", ["status", "claims", "meaning"], rows, class_="wordy"),
            tag("p", "Not shown:") if missing else None,
            bullets(missing) if missing else None,
            tag(
                "p",
                "This folder claims no compliance with a standard. Check it offline with ",
                tag("code", "edge-seq evidence --check FOLDER"),
                "; with --key PUBLIC also who signed it.",
            ),
        ]
    )


def _claims(index: Evidence) -> Html:
    rows: list[list[Child]] = [
        [claim.claim, claim.status, claim.detail, _link(claim), join([tag("div", test) for test in claim.tests])]
        for claim in index.claims
    ]
    return table(
        "Each claim, the file that shows it, and the tests of the toolkit behind it",
        ["claim", "status", "figures", "evidence", "tests"],
        rows,
        class_="left",
    )


def _link(claim: Claim) -> Child:
    if claim.evidence:
        return tag("a", claim.evidence, href=claim.evidence)
    return "tests only" if claim.status == "tested" else "none"


def _card(index: Evidence) -> Html:
    return join([facts(index.summary), tag("h3", "Limits"), bullets(index.limits)])


def _contract(index: Evidence) -> Html:
    contract = index.contract
    channels = [
        [str(one["name"]), str(one["unit"]), str(one["counts_per_unit"]), str(one["full_scale"])]
        for one in contract["channels"]
    ]
    window = f"{contract['window_length']} samples, stride {contract['window_stride']}"
    rate, step = f"{contract['sample_rate_hz']} Hz", Preprocessing(**contract["preprocessing"]).text
    return join(
        [
            facts([("sample rate", rate), ("window", window), ("preprocessing", step)]),
            table("Channels, in order", ["channel", "unit", "counts per unit", "full scale"], channels),
        ]
    )


def _again(index: Evidence) -> Html:
    return join(
        [
            tag("p", _PLACES),
            code_block(index.commands),
            table("Versions", ["package", "version"], [[name, one] for name, one in sorted(index.versions.items())]),
        ]
    )


def _hashes(index: Evidence) -> Html:
    return join(
        [
            _hash_table("Files of this folder", index.files),
            _hash_table("Inputs: files of the run", index.inputs),
            _hash_table("Outputs: exported files", index.outputs),
        ]
    )


def _hash_table(caption: str, hashes: Mapping[str, str]) -> Html:
    return table(
        caption, ["file", "SHA-256"], [[name, tag("code", digest)] for name, digest in hashes.items()], class_="wordy"
    )
