"""`edge-seq evidence`: made from a run, and checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge_seq.ir.serialize import load_int_model
from edge_seq.support.errors import ConfigError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.folder import open_run
from edge_seq.workflow.release.evidence import make_evidence
from firmware_export.measuring.report import MeasureReport
from tests.cli.conftest import Small, edge_seq, ok
from tests.unit.evidence.test_evidence import measured

FEW = ("--windows", "4", "--extreme", "0")


def test_evidence_of_a_run_is_made_and_checked(small: Small, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "evidence"
    shutil.copytree(small.run, run)
    opened = open_run(run)
    with pytest.raises(ConfigError, match="is in the run, whose files it lists; give a folder beside it"):
        make_evidence(opened, run / "evidence", cppcheck=None)
    with pytest.raises(ConfigError, match=r"steps are missing; run: edge-seq export .* && edge-seq verify .*measure"):
        make_evidence(opened, out, cppcheck=None)
    ok("verify", run, *FEW)
    ok("evaluate", run)
    verified = json.loads((run / "reports" / "verify.json").read_text())
    digest, of_c = verified["model_hash"], verified["c_sha256"]
    save_json(run / "reports" / "measure.json", MeasureReport(digest, True, (measured(),), "00" * 32))
    with pytest.raises(ConfigError, match="measure is about other C than the run's model gives now; run again"):
        make_evidence(opened, out, cppcheck=None)
    save_json(run / "reports" / "measure.json", MeasureReport(digest, True, (measured(),), of_c))
    index = make_evidence(opened, out, cppcheck=None)
    assert {claim.status for claim in index.claims} == {"shown", "not shown", "tested"}
    assert index.model_hash == digest
    assert {"config.toml", "model.int.safetensors", "data/hashes.json"} <= set(index.inputs)
    assert {"c/manifest.json", "onnx/int_step.onnx"} <= set(index.outputs)
    assert all(str(tmp_path) not in path.read_text() for path in out.rglob("*") if path.is_file())
    assert [command.split()[1] for command in index.commands] == [
        *("train", "quantize", "evaluate", "export", "verify", "measure", "evidence")
    ]  # neither robustness nor evaluate --stream, which were not run
    said = " ".join(ok("evidence", run, "--check", out).out.split())
    assert "every claim is what its file shows; it is not signed, so whoever changes a file" in said
    components = json.loads((out / "sbom.cdx.json").read_text())["components"]
    assert {"torch", "numpy", "onnx"} <= {one["name"] for one in components}
    page = out / "index.html"
    page.write_text(page.read_text().replace("claims no compliance", "claims SIL 4"))
    found = edge_seq("evidence", "--check", out, "--json")
    assert (found.code, found.json["wrong"][0]) == (1, "file index.html differs")
    (run / "config.toml").write_text((run / "config.toml").read_text() + "\n")
    assert "WRONG: input config.toml differs in the run" in edge_seq("evidence", run, "--check", out).out
    stale = MeasureReport("00" * 32, True, (measured(),))
    save_json(run / "reports" / "measure.json", stale)
    with pytest.raises(ConfigError, match="measure is about model 0000"):
        make_evidence(opened, out, cppcheck=None)
    assert load_int_model(run / "model.int.safetensors").name == index.model


@pytest.mark.slow
def test_evidence_with_targets_and_a_signature(small: Small, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "evidence"
    shutil.copytree(small.run, run)
    ok("verify", run, *FEW, "--target", "cortex_m0")
    ok("measure", run, "--target", "cortex_m0", "--max-stack", "4096")
    ok("sign", run, "--new-key", tmp_path / "release.pem")
    made = ok("evidence", run, "--out", out, "--key", tmp_path / "release.pem", "--json").json
    assert made["failed"] == 0
    public = tmp_path / "release.pub.pem"
    assert "the signature is right" in " ".join(ok("evidence", run, "--check", out, "--key", public).out.split())
    assert "the signature was not checked, give --key" in " ".join(ok("evidence", "--check", out).out.split())
    (out / "signed_on.json").write_text("{}")
    assert edge_seq("evidence", "--check", out, "--key", public).code == 1
    again = ok("evidence", run, "--out", tmp_path / "again", "--json").json
    assert again == made
    assert (tmp_path / "again" / "evidence.json").read_bytes() == (out / "evidence.json").read_bytes()


def test_wrong_use_says_what_to_give(small: Small, tmp_path: Path) -> None:
    for arguments, words in (
        ((), "give the folder of a run and --out FOLDER to make evidence, or --check FOLDER to check it"),
        ((small.run, "--out", tmp_path, "--check", tmp_path), "give the folder of a run and --out"),
        (("--check", tmp_path), "it has no evidence.json"),
    ):
        result = edge_seq("evidence", *arguments)
        assert result.code == 2
        assert words in " ".join(result.err.split()), result.err
