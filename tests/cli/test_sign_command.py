"""`edge-seq sign`, and the commands that check a signature."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.conftest import Small, edge_seq, ok

FEW = ("--windows", "4", "--extreme", "0")


def test_exports_are_signed_and_checked(small: Small, tmp_path: Path) -> None:
    run, key = tmp_path / "run", tmp_path / "release.pem"
    shutil.copytree(small.run, run)
    ok("export", run, "--blob", "little")
    made = ok("sign", run, "--new-key", key)
    public = tmp_path / "release.pub.pem"
    assert "PRIVATE" not in made.out + made.err
    assert key.read_text().splitlines()[1] not in made.out + made.err
    files = ok("sign", run, "--key", key, "--json").json["files"]
    (blob,) = (run / "exports" / name for name in files if name.endswith(".blob"))
    assert {"c/manifest.json", "onnx/int_step.onnx"} < set(files)
    verified = ok("verify", run, *FEW, "--key", public, "--json").json
    assert [verified["rungs"][0][key] for key in ("name", "verdict")] == ["signature of the exports", "holds"]
    (run / "exports" / "added.txt").write_text("x")
    failed = edge_seq("verify", run, *FEW, "--key", public)
    assert failed.code == 1
    assert "added.txt was added since the signature" in " ".join(failed.out.split())
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    refused = edge_seq("device", "load", blob, "--port", "loop://", "--key", public)
    assert refused.code == 1
    assert "is not the file that was signed. Nothing was sent" in " ".join(refused.err.split())
    changed = edge_seq("sign", run, "--key", key)
    assert changed.code == 2
    assert "not what this release of edge_seq makes" in " ".join(changed.err.split())
    assert not list(tmp_path.glob("*.pem.*"))


def test_wrong_use_says_what_to_give(small: Small, tmp_path: Path) -> None:
    key = tmp_path / "release.pem"
    assert "is the public key" in ok("sign", "--new-key", key).out
    for arguments, words in (
        ((), "give the folder of a run and --key FILE, or --new-key FILE alone"),
        ((small.run,), "give --key FILE, or --new-key FILE to make one"),
        ((small.run, "--key", key, "--new-key", key), "--new-key signs with the key that it makes"),
        (("--new-key", key), "a key is never overwritten"),
        ((tmp_path, "--key", key), "is not the folder of a run"),
    ):
        result = edge_seq("sign", *arguments)
        assert result.code == 2
        assert words in " ".join(result.err.split()), result.err
