"""`edge-seq evidence`: made from a run, and checked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_seq.evidence.signing import make_keys
from edge_seq.ir.serialize import load_int_model
from edge_seq.support.errors import ConfigError
from edge_seq.support.json_tables import save_json
from edge_seq.workflow.export import export_run
from edge_seq.workflow.folder import open_run
from edge_seq.workflow.release.evidence import make_evidence
from edge_seq.workflow.release.sign import sign_run
from firmware_export.measuring.report import MeasureReport
from tests.cli.conftest import Small, edge_seq, ok
from tests.unit.evidence.test_evidence import measured

ROOT = Path(__file__).parents[2]
FEW = ("--windows", "4", "--extreme", "0")
BY_FILE = ("--target", "boards/cortex_m4.toml")  # in place of the target of that name


def test_evidence_of_a_run_is_made_and_checked(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, out = tmp_path / "run", tmp_path / "evidence"
    shutil.copytree(small.run, run)
    for other in (*run.rglob("*robustness*"), *run.rglob("*stream*")):  # of other tests, which share the run
        other.unlink()
    opened = open_run(run)
    with pytest.raises(ConfigError, match="is in the run, whose files it lists; give a folder beside it"):
        make_evidence(opened, run / "evidence", cppcheck=None)
    with pytest.raises(ConfigError, match=r"steps are missing; run: edge-seq export .* && edge-seq verify .*measure"):
        make_evidence(opened, out, cppcheck=None)
    (tmp_path / "my boards").mkdir()
    shutil.copy(ROOT / "firmware_export" / "targets" / "host.toml", tmp_path / "my boards")
    ok("verify", run, *FEW, "--target", "my boards/host.toml", cwd=tmp_path)
    ok("evaluate", run)
    verified = json.loads((run / "reports" / "verify.json").read_text())
    digest, of_c = verified["model_hash"], verified["c_sha256"]
    save_json(run / "reports" / "measure.json", MeasureReport(digest, True, (measured(),), "00" * 32))
    with pytest.raises(ConfigError, match="measure is about other C than the run's model gives now; run again"):
        make_evidence(opened, out, cppcheck=None)
    save_json(
        run / "reports" / "measure.json", MeasureReport(digest, True, (measured(),), of_c, (*BY_FILE, "--steps", "500"))
    )
    make_keys(tmp_path / "release.pem")
    sign_run(opened, tmp_path / "release.pem")
    export_run(opened, blobs=["little"])
    with pytest.raises(ConfigError, match=r"that were signed: .*, export blob/small_little\.blob is missing in"):
        make_evidence(opened, out, cppcheck=None)
    sign_run(opened, tmp_path / "release.pem")
    without = make_evidence(opened, out, cppcheck=None)
    assert {claim.status for claim in without.claims} == {"shown", "not shown", "tested"}
    index = make_evidence(opened, out, cppcheck=str(fake_cppcheck(tmp_path / "cppcheck")))
    misra = json.loads((out / "misra" / "cppcheck.json").read_text())
    assert misra["tool"] == "Cppcheck 2.99"
    read = set(misra["files"])
    of_the_run = {f"{index.model}.c", f"{index.model}_golden.c", "runtime/src/es_model.c"}
    assert of_the_run | {"runtime/load/es_load.c", "runtime/load/es_update.c", "runtime/wire/es_wire.c"} <= read
    assert read == {name.removeprefix("c/") for name in index.outputs if name.endswith(".c")}, "all of the C"
    assert {claim.status for claim in index.claims} == {"shown", "tested"}
    assert index.model_hash == digest
    assert {"config.toml", "model.int.safetensors", "data/hashes.json"} <= set(index.inputs)
    assert {"c/manifest.json", "onnx/int_step.onnx"} <= set(index.outputs)
    assert all(str(tmp_path) not in path.read_text() for path in out.rglob("*") if path.is_file())
    assert [command.split()[1] for command in index.commands] == [
        *("train", "quantize", "evaluate", "export", "sign", "verify", "measure", "evidence")
    ]  # neither robustness nor evaluate --stream, which were not run
    assert "edge-seq verify RUN --target 'my boards/host.toml' --windows 4 --extreme 0" in index.commands
    assert "Integer reference = C on host: the same integers" in " ".join(claim.claim for claim in index.claims)
    assert "edge-seq measure RUN --max-flash 10000 --target boards/cortex_m4.toml --steps 500" in index.commands
    said = " ".join(ok("evidence", run, "--check", out).out.split())
    assert "every claim is what its file shows; it is not signed, so whoever changes a file" in said
    components = json.loads((out / "sbom.cdx.json").read_text())["components"]
    listed = {one["name"] for one in components if one["type"] == "file"}
    c_files = {name.removeprefix("c/") for name in index.outputs if name.startswith("c/")}
    assert listed == c_files - {"manifest.json"}
    assert all(name.endswith((".c", ".h")) for name in listed)
    (claim,) = [one for one in index.claims if one.evidence == "sbom.cdx.json"]
    assert claim.detail.startswith(f"{len(listed)} C files, ")
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


def fake_cppcheck(path: Path) -> Path:
    """A program that has a version and finds nothing."""
    path.write_text('#!/bin/sh\ntest "$1" != --version || echo Cppcheck 2.99\n')
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_two_machines_make_the_same_bytes(small: Small, tmp_path: Path) -> None:
    """Verified, measured and gathered on both, with a target and a signature; only that has a date."""
    ok("sign", small.run, "--new-key", tmp_path / "release.pem")
    here = Machine(tmp_path / "here", {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}, 0o022)
    there = Machine(
        tmp_path / "there" / "another place",
        {"TZ": "America/Noronha", "LC_ALL": "C", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        0o077,
    )
    made = [evidence_by(machine, small.run, tmp_path / "release.pem") for machine in (here, there)]
    first, second = ({name: content for name, content in files.items() if not is_dated(name)} for files in made)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    claims = {one["claim"]: one["status"] for one in json.loads(first["evidence.json"])["claims"]}
    assert claims["On cortex_m0, the worst stack is known."] == "shown"
    assert claims["On cortex_m0, the budgets hold."] == "shown"
    assert "failed" not in claims.values()
    private = [str(tmp_path), "Kiritimati", "Noronha", os.uname().nodename]
    assert [(word, name) for name in first for word in private if word.encode() in first[name]] == []
    public, out = tmp_path / "release.pub.pem", here.folder / "evidence"
    assert "signed by the key release.pub.pem" in " ".join(ok("evidence", "--check", out, "--key", public).out.split())
    assert "whosever that is: give --key" in " ".join(ok("evidence", "--check", out).out.split())
    (out / "signed_on.json").write_text("{}")
    assert edge_seq("evidence", "--check", out, "--key", public).code == 1


@pytest.mark.slow
def test_the_commands_of_a_folder_make_the_same_folder_again(small: Small, tmp_path: Path) -> None:
    """As an auditor would: from the configuration alone, each command as it stands there."""
    run, key = tmp_path / "run", tmp_path / "release.pem"
    shutil.copytree(small.run, run)
    shutil.rmtree(run / "reports", ignore_errors=True)
    for other in (*run.glob("metrics.*"), *run.glob("*stream*"), *run.glob("decision.json")):  # of other tests
        other.unlink()
    (tmp_path / "boards").mkdir()
    shutil.copy(ROOT / "firmware_export" / "targets" / "cortex_m0.toml", tmp_path / "boards" / "ours.toml")
    ok("quantize", run)
    ok("decide", run, "--max-extra-delay-s", str(5 / 6))
    ok("evaluate", run, "--no-baselines")
    ok("evaluate", run, "--stream", "--tolerance-s", "1")
    ok("export", run, "--blob", "little", "--package", "cmake", "--onnx", "portable")
    ok("sign", run, "--new-key", key)
    ok("verify", run, *FEW, "--target", "boards/ours.toml", "--key", "release.pub.pem", cwd=tmp_path)
    ok("measure", run, "--target", "boards/ours.toml", "--max-stack", "4096", "--steps", "300", cwd=tmp_path)
    ok("evidence", run, "--out", tmp_path / "evidence", "--key", key)
    index = json.loads((tmp_path / "evidence" / "evidence.json").read_text())
    assert "failed" not in {claim["status"] for claim in index["claims"]}

    again = tmp_path / "again"
    (again / "RUN").mkdir(parents=True)
    shutil.copy(run / "config.toml", again / "RUN")
    shutil.copy(key, again / "KEY")
    for name in ("boards", "release.pub.pem"):
        (again / name).symlink_to(tmp_path / name)
    (again / "KEY").chmod(0o600)
    for command in index["commands"]:
        ok(*shlex.split(command)[1:], cwd=again)
    made = json.loads((again / "evidence" / "evidence.json").read_text())
    timed = {"training.json"}  # the seconds of the training
    assert {name for name in made["inputs"] if made["inputs"][name] != index["inputs"].get(name)} <= timed
    assert made["inputs"].keys() == index["inputs"].keys()
    assert {**made, "inputs": 0, "files": 0} == {**index, "inputs": 0, "files": 0}
    assert {name for name in made["files"] if made["files"][name] != index["files"].get(name)} == {"index.html"}
    ok("evidence", "--check", again / "evidence", "--key", "release.pub.pem", cwd=tmp_path)


def is_dated(name: str) -> bool:
    return name in ("signature.json", "signed_on.json")


@dataclass(frozen=True)
class Machine:
    """A copy of the program in a place of its own, with an environment of its own."""

    folder: Path
    environment: dict[str, str]
    umask: int

    def run(self, *arguments: str | Path) -> None:
        clone, home = self.folder / "clone", self.folder / "home"
        if not clone.exists():
            home.mkdir(parents=True)
            for package in ("edge_seq", "firmware_export"):
                shutil.copytree(ROOT / package, clone / package, ignore=shutil.ignore_patterns("__pycache__"))
        done = subprocess.run(
            [sys.executable, "-m", "edge_seq", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **self.environment, "HOME": str(home), "PYTHONPATH": str(clone), "NO_COLOR": "1"},
            umask=self.umask,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


def evidence_by(machine: Machine, run: Path, key: Path) -> dict[str, bytes]:
    """Content of each file of the evidence that a machine makes of its copy of a run."""
    own, out = machine.folder / "run", machine.folder / "evidence"
    shutil.copytree(run, own)
    machine.run("verify", own, *FEW, "--target", "cortex_m0")
    machine.run("measure", own, "--target", "cortex_m0", "--max-stack", "4096", "--steps", "500")
    machine.run("evidence", own, "--out", out, "--key", key)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_wrong_use_says_what_to_give(small: Small, tmp_path: Path) -> None:
    for arguments, words in (
        ((), "give the folder of a run and --out FOLDER to make evidence, or --check FOLDER to check it"),
        ((small.run, "--out", tmp_path, "--check", tmp_path), "give the folder of a run and --out"),
        (("--check", tmp_path), "it has no evidence.json"),
    ):
        result = edge_seq("evidence", *arguments)
        assert result.code == 2
        assert words in " ".join(result.err.split()), result.err
