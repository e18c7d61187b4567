"""Folders of evidence: claims follow from figures, every changed byte is seen, the same run gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
from edge_seq.evidence.folder import EXPORTS_SIGNATURE, check_evidence, check_signature, signed_exports, write_folder
from edge_seq.evidence.index import FORMAT, Evidence
from edge_seq.evidence.misra import DEVIATIONS, MisraReport, check_misra, sort_findings
from edge_seq.evidence.sbom import bill_of_materials, installed_packages
from edge_seq.evidence.signing import key_of, make_keys, sign_folder
from edge_seq.parity.compare import Comparison
from edge_seq.parity.ladder import Ladder, Rung
from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.support.files import json_text
from edge_seq.support.results import to_plain
from firmware_export.measuring.report import Measured, MeasureReport, Skipped, TargetReport

ROOT = Path(__file__).parents[3]
MODEL = "ab" * 32
C_FILES = {"car.c": "12" * 32, "runtime/src/es_lstm.c": "34" * 32}
CONTRACT = {
    "sample_rate_hz": 10.0,
    "window_length": 50,
    "window_stride": 25,
    "preprocessing": {"step": "none", "gravity_shift": 0},
    "channels": [{"name": "ax", "unit": "m/s^2", "counts_per_unit": 400.0, "full_scale": 40.0}],
}


def measured(**more: Any) -> TargetReport:
    figures = {
        "model": "car", "target": "cortex_m4", "status": "measured", "detail": "gcc", "code_bytes": 1, "table_bytes": 1,
        "weight_bytes": 1, "flash_bytes": 9000, "ram_bytes": 800, "stack_bytes": 248, "stack_bytes_seen": 240,
        "stack_path": (("es_step", 40), ("es_lstm_step", 208)), "instructions_per_window": 1000,
        "cycles_per_window": None, "instructions_by_function": {}, "steps_counted": 150, "constant_time": True,
        "step_classes": ({"class": "no label", "instructions_min": 7, "instructions_max": 7},),
        "latency_estimate": None, "notes": (),
    }  # fmt: skip
    found = Measured(**{**figures, **{key: value for key, value in more.items() if key in figures}})
    rest = {key: value for key, value in more.items() if key not in figures}
    return TargetReport(found, **{"budgets": {"max_flash": 10_000}, "over_budget": (), "unchecked": (), **rest})


def documents() -> dict[str, Any]:
    compared = Comparison(60, 3000, 1_234_000, 0, None, 0.0, ("layer0.hidden_state", "label"))
    at_ends = Comparison(60, 60, 300, 0, None, 0.0, ("logits", "label"))
    ladder = Ladder(
        MODEL,
        "cd" * 32,
        (
            Rung("exported files are up to date", "exact", "holds", "64 files"),
            Rung("torch = float reference", "budget", "holds", "2e-06, allowed 2e-04", compared),
            Rung("integer reference = C at full speed", "exact", "holds", "built with gcc", at_ends),
            Rung("integer reference = C on cortex_m4", "exact", "holds", "built with gcc", compared),
            Rung("integer reference = C on riscv32imc", "exact", "skipped", "qemu is not installed"),
        ),
        "ef" * 32,
    )
    bound = {"name": "layer 0 input_gate", "row": 3, "magnitude": 2_000_000_000, "limit": 2**31 - 1, "slack": 0.07}
    bill = bill_of_materials("car", MODEL, C_FILES, {"numpy": "2.0.0"})
    return {
        VERIFY: to_plain(ladder),
        MEASURE: to_plain(MeasureReport(MODEL, True, (measured(),), "ef" * 32)),
        MANIFEST: {"model_hash": MODEL, "contract": CONTRACT, "range_proof": [bound]},
        MISRA: to_plain(MisraReport("Cppcheck 2.10", tuple(C_FILES), {"misra-c2012-15.5": 3}, ())),
        BILL: json.loads(bill),
    }


def index_of(found: dict[str, Any]) -> Evidence:
    return Evidence(
        format=FORMAT,
        model="car",
        model_hash=MODEL,
        edge_seq="0.1.0",
        contract=CONTRACT,
        summary=(("classes", "parked, <b>road</b>"),),
        limits=("Valid only for its contract.",),
        versions={"numpy": "2.0.0"},
        commands=("edge-seq export RUN",),
        inputs={"config.toml": "56" * 32},
        outputs={
            "onnx/int_step.onnx": "78" * 32,
            "c/manifest.json": "9a" * 32,  # which is no component
            **{f"c/{name}": digest for name, digest in C_FILES.items()},
        },
        claims=claims_of(found),
        files={},
    )


def write(out: Path, found: dict[str, Any] | None = None, **more: Any) -> Evidence:
    tables = found or documents()
    files = {name: json_text(table).encode() for name, table in tables.items()}
    return write_folder(out, index_of(tables), files, **more)


def status_of(found: dict[str, Any]) -> dict[str, str]:
    return {claim.claim: claim.status for claim in claims_of(found)}


def test_each_claim_follows_from_its_figures() -> None:
    right = status_of(documents())
    assert set(right.values()) == {"shown", "not shown", "tested"}
    slow = "On cortex_m4, all counted steps of a class cost the same, on random and extreme data."
    stack, budgets = "On cortex_m4, the worst stack is known.", "On cortex_m4, the budgets hold."
    proof = "No 32-bit accumulator and no intermediate can overflow, whatever the input."
    on_m4 = "Integer reference = C on cortex_m4: the same integers at every time step, in every state."
    same = "The exported C and the verification are of the same model, for the stated sensor contract."
    rules = "The plain C meets the rules of MISRA C:2012 that the tool checks, but for documented deviations."
    listed = "All components are listed: the C files with their hashes, and the Python packages that made them."
    at_ends = "Integer reference = C at full speed: the same integers in all that a window gives (logits, label)."
    for claim in (slow, stack, budgets, proof, on_m4, at_ends, same, rules, listed):
        assert right[claim] == "shown", claim

    def changed(path: str, change: Any) -> dict[str, str]:
        found = documents()
        found[path] = change if isinstance(change, dict) else to_plain(change)
        return status_of(found)

    def costs(**more: Any) -> dict[str, str]:
        return changed(MEASURE, MeasureReport(MODEL, True, (measured(**more),)))

    depends = "On cortex_m4, the cost of a step depends on the data; the range of counted steps is no bound."
    assert costs(constant_time=False)[depends] == "shown"
    assert slow not in costs(constant_time=False)
    assert costs(constant_time=None)[slow] == "not shown"
    assert costs(stack_path=())[stack] == "not shown"
    assert costs(over_budget=("flash 9,000 of 8,000",))[budgets] == "failed"
    assert costs(unchecked=("max_stack",))[budgets] == "not shown"
    assert costs(budgets={})[budgets] == "not shown"
    missing = TargetReport(Skipped("car", "cortex_m0", "skipped", ("no gcc",)), {}, (), ())
    assert changed(MEASURE, MeasureReport(MODEL, True, (missing,)))["Costs on cortex_m0."] == "not shown"
    manifest = documents()[MANIFEST]
    beyond = [{**manifest["range_proof"][0], "magnitude": 2**31}]
    assert changed(MANIFEST, {**manifest, "range_proof": beyond})[proof] == "failed"
    assert changed(MANIFEST, {**manifest, "model_hash": "00" * 32})[same] == "failed"
    assert changed(MISRA, MisraReport("Cppcheck 2.10", ("car.c",), {}, ("misra-c2012-17.7 car.c",)))[rules] == "failed"
    assert changed(MISRA, MisraReport(None, (), {}, (), "not installed"))[rules] == "not shown"
    assert changed(BILL, {"components": [], "specVersion": "1.5"})[listed] == "failed"
    ladder = documents()[VERIFY]
    ladder["rungs"][3]["verdict"] = "failed"
    assert changed(VERIFY, ladder)[on_m4] == "failed"
    with pytest.raises(DataError, match=r"results/verify\.json"):
        changed(VERIFY, {"rungs": 3})


def test_every_claim_leads_to_a_file_of_the_folder_and_to_tests_that_exist(tmp_path: Path) -> None:
    write(tmp_path / "evidence")
    found = documents()
    for claim in claims_of(found):
        assert (claim.evidence in found) == (claim.status != "tested" and claim.evidence != ""), claim
        assert not claim.evidence or (tmp_path / "evidence" / claim.evidence).is_file(), claim
        assert claim.tests, claim
        assert [one for one in claim.tests if not (ROOT / one).exists()] == [], claim


def test_a_folder_holds_and_every_changed_byte_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    index = write(folder)
    assert check_evidence(folder) == []
    assert not index.failed
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        right = path.read_bytes()
        for at in range(0, len(right), max(1, len(right) // 12)):
            path.write_bytes(right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
            assert check_evidence(folder), (path.name, at)
        path.write_bytes(right)
    index_file = folder / "evidence.json"
    right, as_written = index_file.read_bytes(), ["evidence.json is not as edge-seq evidence writes it"]
    for other in (right.replace(b"\n", b"\t", 1), right.replace(b"{", b'{"approved_by": "nobody",', 1)):
        index_file.write_bytes(other)  # the same index to a reader of JSON
        assert check_evidence(folder) == as_written
    index_file.write_bytes(right)
    (folder / "added.txt").write_text("x")
    assert check_evidence(folder) == ["file added.txt is not listed"]
    (folder / "added.txt").rename(folder / "signed_on.json")  # a date without a signature
    assert check_evidence(folder) == ["file signed_on.json is not listed"]


def test_a_figure_that_was_changed_with_its_hash_contradicts_the_claim(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    write(folder)

    def forge(name: str, old: str, new: str) -> list[str]:
        path = folder / name
        before, index = path.read_text(), (folder / "evidence.json").read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (before, path.read_text())]
        (folder / "evidence.json").write_text(index.replace(*hashes))
        found = check_evidence(folder)
        path.write_text(before)
        (folder / "evidence.json").write_text(index)
        return found

    assert "says shown, '248 bytes" in " ".join(forge(MEASURE, '"stack_bytes": 248', '"stack_bytes": 148'))
    assert "says failed" in " ".join(forge(VERIFY, '"verdict": "holds"', '"verdict": "failed"'))
    assert f"{VERIFY} is about model 0000" in " ".join(forge(VERIFY, MODEL, "00" * 32))
    assert f"{VERIFY} and {MEASURE} are about different C" in forge(VERIFY, "ef" * 32, "ee" * 32)
    assert f"{MANIFEST} has another contract" in " ".join(forge(MANIFEST, '"window_stride": 25', '"window_stride": 26'))
    assert f"C file car.c differs in {BILL}" in forge(BILL, "12" * 32, "99" * 32)
    assert f"C file runtime/src/es_lstm.c is missing in {MISRA}" in forge(MISRA, ',\n    "runtime/src/es_lstm.c"', "")
    assert any("index.html is not what" in line for line in forge("index.html", "claims no compliance", "claims SIL 4"))
    (folder / VERIFY).unlink()
    assert f"{VERIFY} missing, so the claims cannot be checked" in check_evidence(folder)


def test_the_run_is_compared(tmp_path: Path) -> None:
    index = write(tmp_path / "evidence")
    assert check_evidence(tmp_path / "evidence", run_inputs=index.inputs, run_outputs=index.outputs) == []
    found = check_evidence(tmp_path / "evidence", run_inputs={"config.toml": "0" * 64}, run_outputs=index.outputs)
    assert found == ["input config.toml differs in the run"]
    found = check_evidence(tmp_path / "evidence", run_outputs={**index.outputs, "c/new.c": "0" * 64})
    assert found == ["export c/new.c is not listed in the run"]


def test_the_same_run_gives_the_same_bytes_but_for_the_signature(tmp_path: Path) -> None:
    public = make_keys(tmp_path / "release.pem")
    write(tmp_path / "one" / "evidence")
    write(tmp_path / "two" / "evidence", private_key=tmp_path / "release.pem", date="2026-11-30")
    contents = [
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "one" / "evidence", tmp_path / "two" / "evidence")
    ]
    signed = {name: contents[1].pop(name) for name in ("signature.json", "signed_on.json")}
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in b"".join([*contents[0].values(), *signed.values()])
    folder = tmp_path / "two" / "evidence"
    assert check_signature(folder, public) + check_signature(folder, None) + check_evidence(folder) == []
    (folder / "signed_on.json").write_text('{"signed_on": "2027-01-01"}')
    for key in (public, None):  # without a key, by the one that it names
        assert check_signature(folder, key) == ["signature: signed_on.json was changed since the signature"]
        (folder / "signature.json").write_bytes(signed["signature.json"].replace(b"\n", b" ", 1))
        assert check_signature(folder, key) == ["signature: signature.json was changed"]
        (folder / "signature.json").write_bytes(signed["signature.json"])


def test_every_changed_byte_of_a_signature_is_seen_without_its_key(tmp_path: Path) -> None:
    make_keys(tmp_path / "release.pem")
    folder = tmp_path / "evidence"
    write(folder, private_key=tmp_path / "release.pem", date="2026-11-30")
    path = folder / "signature.json"
    right = path.read_bytes()
    named = json.loads(right)["public_key"]
    of_key = right.index(named.encode())
    for at in (*range(0, len(right), 11), *range(of_key, of_key + len(named))):
        path.write_bytes(right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
        assert check_signature(folder, None), at
    for other, words in (("AA==", "its public_key is no Ed25519 key"), ("%", "no Ed25519 key"), (named[::-1], "")):
        path.write_bytes(right.replace(named.encode(), other.encode()))
        (found,) = check_signature(folder, None)
        assert words in found
    path.write_bytes(right)
    assert key_of(folder) == named
    assert check_signature(folder, None) == []


def test_tables_of_another_model_are_seen(tmp_path: Path) -> None:
    other, with_stage, folder = "00" * 32, "77" * 32, tmp_path / "evidence"
    right = {
        **documents(),
        SCORES: scores_of(MODEL),
        QUANTIZATION: {"model_hash": MODEL, "float_model_hash": MODEL},
        ROBUSTNESS: {"model_hash": MODEL},
        DECISION: {"model_hash": MODEL, "stage": None},
        STREAM: {"model_hash": MODEL},
    }
    write(folder, right)
    assert check_evidence(folder) == []
    for name, key in (
        *((name, "model_hash") for name in (SCORES, QUANTIZATION, ROBUSTNESS, DECISION, STREAM)),
        (SCORES, "int_model_hash"),
    ):
        write(folder, {**right, name: {**right[name], key: other}})
        assert f"{name} is about model 0000000000000000, " in " ".join(check_evidence(folder)), name
    # with a decision stage, scores of labels are about the model without it
    staged = {**right, QUANTIZATION: {"model_hash": with_stage, "float_model_hash": MODEL}}
    staged |= {DECISION: {"model_hash": MODEL, "stage": {}}, SCORES: {**right[SCORES], "int_model_hash": with_stage}}
    write(folder, staged)
    assert check_evidence(folder) == []
    write(folder, {**staged, SCORES: right[SCORES]})
    assert check_evidence(folder) == [f"{SCORES} is about model {MODEL[:16]}, expected {with_stage[:16]}"]


def test_the_signature_of_the_exports_lists_the_exports(tmp_path: Path) -> None:
    make_keys(tmp_path / "release.pem")
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "car.c").write_text("int a;")
    signed = sign_folder(tmp_path / "exports", tmp_path / "release.pem")
    path = tmp_path / "exports" / "signature.json"
    assert signed_exports(path, signed.files) == []
    assert signed_exports(path, {**signed.files, "new.c": "0"}) == [
        "export new.c is missing in the signature of the exports"
    ]
    files = {name: json_text(table).encode() for name, table in documents().items()}
    write_folder(tmp_path / "out", index_of(documents()), {**files, EXPORTS_SIGNATURE: path.read_bytes()})
    assert "export car.c is not listed in the signature of the exports" in check_evidence(tmp_path / "out")
    path.write_text(path.read_text().replace("car.c", "car.d"))
    assert "the list of files was changed" in signed_exports(path, signed.files)[0]


def test_an_earlier_folder_is_replaced_and_another_one_is_not(tmp_path: Path) -> None:
    write(tmp_path / "evidence")
    (tmp_path / "evidence" / "old.txt").write_text("x")
    write(tmp_path / "evidence")
    assert check_evidence(tmp_path / "evidence") == []
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    with pytest.raises(ConfigError, match="exists and is not a folder of evidence; give another path"):
        write(tmp_path / "photos")
    with pytest.raises(ConfigError, match=r"it has no evidence\.json"):
        check_evidence(tmp_path / "photos")
    for text, words in (("{", "not a table in JSON"), ("{}", "evidence.json")):
        (tmp_path / "evidence" / "evidence.json").write_text(text)
        assert words in " ".join(check_evidence(tmp_path / "evidence"))


def test_the_page_escapes_what_a_model_says(tmp_path: Path) -> None:
    write(tmp_path / "evidence")
    page = (tmp_path / "evidence" / "index.html").read_text()
    assert "&lt;b&gt;road" in page
    assert "<b>road" not in page
    assert f'href="{VERIFY}"' in page
    assert "not shown" in page


def test_the_list_of_components_is_read_by_its_library() -> None:
    from cyclonedx.model.bom import Bom

    text = bill_of_materials("car", MODEL, C_FILES, {"numpy": "2.0.0"})
    assert text == bill_of_materials("car", MODEL, dict(reversed(C_FILES.items())), {"numpy": "2.0.0"})
    read = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]
    assert {component.name for component in read.components} == {*C_FILES, "numpy"}
    assert read.metadata.component.version == MODEL
    packages = installed_packages()
    assert {"edge-seq", "numpy", "onnx", "protobuf"} <= set(packages)
    assert list(packages) == sorted(packages)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cyclonedx.model", None)
    with pytest.raises(ToolError, match=r'cyclonedx-python-lib; run: pip install "edge-seq\[evidence\]"'):
        bill_of_materials("car", MODEL, {}, {})


def test_findings_are_sorted_under_the_deviations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [line for line in DEVIATIONS.read_text().splitlines() if line.startswith("misra-")]
    assert "misra-c2012-15.5" in listed
    report = sort_findings(
        "v", ("a.c",), ["misra-c2012-15.5 a.c", "misra-c2012-10.1 x/es_fixed.h", "misra-c2012-10.1 a.c"]
    )
    assert report.by_deviation == {"misra-c2012-10.1:*es_fixed.h": 1, "misra-c2012-15.5": 1}
    assert report.others == ("misra-c2012-10.1 a.c",)
    assert check_misra(tmp_path, (), None).note == "cppcheck is not installed; apt-get install cppcheck"
    without = subprocess.CompletedProcess([], 0, "Did not find addon misra.py: not found", "")
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_more: without)
    assert "runs without its MISRA add-on" in check_misra(tmp_path, ("a.c",), "cppcheck").note


def scores_of(digest: str) -> dict[str, Any]:
    scores = {
        "num_windows": 100, "num_groups": 4, "majority_accuracy": 0.5, "expected_calibration_error": 0.1,
        **{name: {"value": 0.9, "low": 0.8, "high": 0.95} for name in ("accuracy", "balanced_accuracy", "macro_f1")},
        "classes": [], "confusion": [], "bootstrap": 10, "seed": 0,
    }  # fmt: skip
    return {
        "side": "test",
        "split": "group",
        "model_hash": digest,
        "float": scores,
        "int": scores,
        "int_model_hash": digest,
    }


def test_scores_of_a_split_that_leaks_are_not_shown() -> None:
    table = scores_of(MODEL)
    right, leaks = documents(), documents()
    right[SCORES] = table
    leaks[SCORES] = {**table, "warning": "windows of one recording are on both sides"}
    for found, status in ((right, "shown"), (leaks, "not shown")):
        claims = [claim for claim in claims_of(found) if claim.claim.startswith("Scores of the")]
        assert {claim.status for claim in claims} == {status}
        assert "100 windows of 4 groups" in claims[0].detail
    assert replace(index_of(right), claims=()).failed == ()
