"""Claims about a firmware's model, each computed from the figures of the files that support it.

The same function makes the table of a folder of evidence and checks it later, so that a claim cannot say more than its
file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edge_seq.evidence.misra import MisraReport
from edge_seq.parity.c_rungs import TARGET_RUNG
from edge_seq.parity.ladder import Ladder, Rung
from edge_seq.scores.evaluation import Evaluation
from edge_seq.support.json_tables import reading
from edge_seq.support.results import Result, from_plain
from firmware_export.measuring.report import MeasureReport, TargetReport

Status = Literal["shown", "failed", "not shown", "tested"]
STATUS_TEXTS: dict[Status, str] = {
    "shown": "the file shows it",
    "failed": "the file shows the contrary",
    "not shown": "nobody tried it; the detail says why",
    "tested": "a property of the toolkit, not of this model: its tests show it",
}
RESULTS = {"logits", "label", "decision"}
VERIFY, MEASURE, SCORES = "results/verify.json", "results/measure.json", "results/metrics.test.json"
QUANTIZATION, DECISION, STREAM, ROBUSTNESS = (  # which the model card has figures of
    *("results/quantization.json", "results/decision.json"),
    *("results/stream.test.json", "results/robustness.test.json"),
)
MANIFEST, BILL, MISRA, DEVIATIONS = "model/manifest.json", "sbom.cdx.json", "misra/cppcheck.json", "misra/MISRA.md"


@dataclass(frozen=True)
class Claim(Result):
    """One row of the table that leads from a claim to its evidence and to the tests behind it.

    Attributes:
        claim: the claim, one sentence.
        status: see :data:`STATUS_TEXTS`.
        detail: figures, or why it is not shown.
        evidence: file of the folder that shows it; empty for what only the toolkit's tests show.
        tests: tests of the toolkit, paths in its repository.
    """

    claim: str
    status: Status
    detail: str
    evidence: str
    tests: tuple[str, ...]


def claims_of(documents: Mapping[str, Any]) -> tuple[Claim, ...]:
    """Compute all claims.

    Args:
        documents: tables by path in the folder of evidence: the constants above.

    Raises:
        DataError: a table is not as its command writes it.
    """
    with reading(VERIFY):
        ladder = from_plain(Ladder, documents[VERIFY])
        rungs = list(_parity(ladder))
    with reading(MEASURE):
        costs = [claim for one in from_plain(MeasureReport, documents[MEASURE]).targets for claim in _costs(one)]
    with reading(SCORES):
        scores = list(_scores(documents.get(SCORES)))
    with reading(MANIFEST):
        proof = _range_proof(documents[MANIFEST])
        contract = _contract(documents[MANIFEST], ladder)
    with reading(MISRA):
        misra = _misra(from_plain(MisraReport, documents[MISRA]))
    with reading(BILL):
        bill = _bill(documents[BILL])
    return (contract, *rungs, proof, *costs, *scores, misra, bill, *_OF_THE_TOOLKIT)


def _contract(manifest: Mapping[str, Any], ladder: Ladder) -> Claim:
    found = manifest["contract"]
    same = manifest["model_hash"] == ladder.model_hash
    channels = ", ".join(f"{one['name']} [{one['unit']}]" for one in found["channels"])
    return Claim(
        "The exported C and the verification are of the same model, for the stated sensor contract.",
        "shown" if same else "failed",
        f"{found['sample_rate_hz']} Hz, {channels}; model {str(manifest['model_hash'])[:16]}"
        + ("" if same else f", verified was {ladder.model_hash[:16]}"),
        MANIFEST,
        ("tests/unit/test_contract.py", "tests/device/test_verify_board.py"),
    )


def _parity(ladder: Ladder) -> Iterator[Claim]:
    for rung in ladder.rungs:
        status: Status = {"holds": "shown", "failed": "failed", "skipped": "not shown"}[rung.verdict]  # type: ignore[assignment]
        yield Claim(_rung_words(rung), status, _rung_detail(rung), VERIFY, _rung_tests(rung))


def _rung_words(rung: Rung) -> str:
    name = f"{rung.name[:1].upper()}{rung.name[1:]}"
    if rung.kind == "cost":
        return "The integer model keeps labels and scores of the float model within the limits of the run."
    if rung.kind == "budget":
        return f"{name}: the difference is within the budget."
    if rung.comparison is None:
        return f"{name}."
    if set(rung.comparison.names) <= RESULTS:  # a whole window at once shows nothing within
        return f"{name}: the same integers in all that a window gives ({', '.join(rung.comparison.names)})."
    return f"{name}: the same integers at every time step, in every state."


def _rung_detail(rung: Rung) -> str:
    one = rung.comparison
    beyond = "beyond the budget" if rung.kind == "budget" else "differ"
    counted = "" if one is None else f"{one.values:,} values of {one.windows:,} windows, {one.mismatches:,} {beyond}"
    return "; ".join(part for part in (counted, rung.detail) if part)


def _rung_tests(rung: Rung) -> tuple[str, ...]:
    if rung.name.startswith(TARGET_RUNG):
        return ("tests/targets/test_kernels.py", "tests/c/test_parity.py")
    if "ONNX" in rung.name:
        return ("tests/parity", "tests/unit/onnx")
    if "C " in rung.name:
        return ("tests/c/test_parity.py", "tests/c/test_runtime.py")
    return ("tests/unit/parity/test_verification.py",)


def _range_proof(manifest: Mapping[str, Any]) -> Claim:
    bounds = manifest["range_proof"]
    worst = max(bounds, key=lambda bound: float(bound["magnitude"]) / float(bound["limit"]))
    holds = bool(bounds) and all(0 <= bound["magnitude"] <= bound["limit"] for bound in bounds)
    return Claim(
        "No 32-bit accumulator and no intermediate can overflow, whatever the input.",
        "shown" if holds else "failed",
        f"{len(bounds)} bounds from the weights; nearest to its limit: {worst['name']}, {worst['magnitude']:,} of "
        f"{worst['limit']:,}",
        MANIFEST,
        ("tests/unit/quant", "tests/unit/ir", "tests/spec_oracle.py"),
    )


def _costs(report: TargetReport) -> Iterator[Claim]:
    one, target = report.measured, report.found.target
    tests = ("tests/targets", "tests/cli/test_measure_command.py")
    if one is None:
        yield Claim(f"Costs on {target}.", "not shown", "; ".join(report.found.notes), MEASURE, tests)
        return
    reason = "; ".join(one.notes) or "not measured"
    yield Claim(
        f"On {target}, the cost of a step depends on the data; the range of counted steps is no bound."
        if one.constant_time is False
        else f"On {target}, all counted steps of a class cost the same, on random and extreme data.",
        "not shown" if one.constant_time is None else "shown",
        reason if one.constant_time is None else f"{one.steps_counted:,} steps counted; {_classes(one.step_classes)}",
        MEASURE,
        tests,
    )
    known = bool(one.stack_path) and one.stack_bytes is not None
    path = " > ".join(f"{name} {size}" for name, size in one.stack_path)
    yield Claim(
        f"On {target}, the worst stack is known.",
        "shown" if known else "not shown",
        f"{one.stack_bytes:,} bytes: {path}" if known else f"largest stack seen: {one.stack_bytes_seen}; {reason}",
        MEASURE,
        (*tests, "tests/c/test_runtime.py"),
    )
    sizes = ", ".join(
        f"{size:,} bytes of {what}"
        for size, what in ((one.flash_bytes, "flash"), (one.ram_bytes, "RAM"), (one.stack_bytes, "stack"))
        if size is not None
    )
    budgets = ", ".join(f"{name} {limit:,}" for name, limit in sorted(report.budgets.items()))
    state: Status = "failed" if report.over_budget else "shown" if budgets and not report.unchecked else "not shown"
    over = "; ".join(report.over_budget) or (f"not checked: {', '.join(report.unchecked)}" if report.unchecked else "")
    yield Claim(
        f"On {target}, the budgets hold.",
        state,
        "; ".join(part for part in (sizes, f"budgets: {budgets}" if budgets else "no budget was given", over) if part),
        MEASURE,
        tests,
    )


def _classes(classes: tuple[dict[str, str | int], ...]) -> str:
    said = []
    for one in classes:
        name, least, most = one.values()
        said.append(f"{name} {least:,}" if least == most else f"{name} {least:,} to {most:,}")
    return "; ".join(said)


def _scores(table: Any) -> Iterator[Claim]:
    tests = ("tests/unit/test_metrics.py", "tests/unit/workflow/test_evaluate.py")
    if table is None:
        yield Claim("Scores on held-out recordings.", "not shown", "edge-seq evaluate was not run", "", tests)
        return
    found = from_plain(Evaluation, table)
    for name, one in found.classifiers().items():
        yield Claim(
            f"Scores of the {name} on the {found.side} part, which it has not seen.",
            "not shown" if found.note.warning else "shown",
            f"accuracy {one.accuracy}, macro-F1 {one.macro_f1}, {one.num_windows:,} windows of {one.num_groups} groups"
            + (f"; {found.note.warning}" if found.note.warning else ""),
            SCORES,
            tests,
        )


def _misra(report: MisraReport) -> Claim:
    if report.tool is None:
        status: Status = "not shown"
        detail = report.note
    else:
        status = "failed" if report.others else "shown"
        found = f"{sum(report.by_deviation.values())} findings under {len(report.by_deviation)} documented deviations"
        detail = f"{report.tool}, {len(report.files)} files: {found}, {len(report.others)} others"
    return Claim(
        "The plain C meets the rules of MISRA C:2012 that the tool checks, but for documented deviations.",
        status,
        detail,
        MISRA,
        ("tests/c/test_misra.py",),
    )


def _bill(table: Mapping[str, Any]) -> Claim:
    kinds = [str(one["type"]) for one in table["components"]]
    complete = "file" in kinds and "library" in kinds
    return Claim(
        "All components are listed: the C files with their hashes, and the Python packages that made them.",
        "shown" if complete else "failed",
        f"{kinds.count('file')} C files, {kinds.count('library')} Python packages (CycloneDX {table['specVersion']})",
        BILL,
        ("tests/unit/evidence/test_evidence.py",),
    )


_OF_THE_TOOLKIT = tuple(
    Claim(claim, "tested", detail, "", tests)
    for claim, detail, tests in (
        (
            "The runtime uses no heap, no globals, no recursion and no floating point.",
            "symbols, sections and calls of the compiled runtime",
            ("tests/c/test_sources.py", "tests/c/test_runtime.py"),
        ),
        (
            "Every single flipped bit of a constant is found by es_self_test and by es_check_constants.",
            "all bits of small models on this machine, samples on emulated targets",
            ("tests/c/test_constants.py",),
        ),
        (
            "No saved state, no message and no blob leads outside the memory that was given.",
            "forged inputs with valid checksums, under sanitizers",
            ("tests/c/test_runtime.py", "tests/device/test_c_wire.py", "tests/load/test_blob.py", "tests/fuzz"),
        ),
        (
            "Plain C by gcc and clang, from -O0 to -O3, big-endian and with 16-bit int, gives the same integers.",
            "all kinds of layers, awkward sizes, extreme weights and counts",
            ("tests/c/test_parity.py", "tests/targets"),
        ),
    )
)
