"""Signatures: every byte of every file is covered, and keys are handled with care."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from edge_seq.evidence.signing import SIGNATURE, check_file, check_folder, hashes_of, make_keys, sign_folder
from edge_seq.support.errors import ConfigError, DataError, ToolError


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed folder and the public key."""
    folder = tmp_path / "exports"
    (folder / "c").mkdir(parents=True)
    (folder / "c" / "manifest.json").write_text('{"name": "car"}\n')
    (folder / "c" / "car.c").write_text("int a;\n")
    (folder / "model.onnx").write_bytes(bytes(range(40)))
    public = make_keys(tmp_path / "keys" / "release.pem")
    sign_folder(folder, tmp_path / "keys" / "release.pem")
    return folder, public


def test_every_flipped_bit_of_every_file_is_seen(signed: tuple[Path, Path]) -> None:
    folder, public = signed
    assert check_folder(folder, public) is None
    for path in [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SIGNATURE]:
        right = path.read_bytes()
        for bit in range(8 * len(right)):
            wrong = bytearray(right)
            wrong[bit // 8] ^= 1 << bit % 8
            path.write_bytes(wrong)
            assert (
                check_folder(folder, public) == f"{path.relative_to(folder).as_posix()} was changed since the signature"
            )
        path.write_bytes(right)
    assert check_folder(folder, public) is None


def test_added_missing_and_renamed_files_are_seen(signed: tuple[Path, Path]) -> None:
    folder, public = signed
    (folder / "c" / "extra.c").write_text("x")
    assert check_folder(folder, public) == "c/extra.c was added since the signature"
    (folder / "c" / "extra.c").unlink()
    (folder / "model.onnx").rename(folder / "other.onnx")
    assert check_folder(folder, public) == "model.onnx is missing, other.onnx was added since the signature"
    (folder / "other.onnx").unlink()
    (folder / "model.onnx").symlink_to("c/car.c")
    with pytest.raises(DataError, match=r"model\.onnx is a link or a special file; replace it by a copy"):
        check_folder(folder, public)


def test_a_changed_signature_is_refused(signed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, public = signed
    path = folder / SIGNATURE
    right = json.loads(path.read_text())
    other = make_keys(tmp_path / "other.pem")
    assert "not of the key other.pub.pem" in str(check_folder(folder, other))
    files = {**right["files"], "c/car.c": "0" * 64}
    for change, words in (
        ({"files": files}, "the list of files was changed"),
        ({"files": {"a": 1}}, "not a signature of this release"),
        ({"format": "edge_seq signature 9"}, "not a signature of this release"),
        ({"signature": "!"}, "is damaged"),
        ({"signature": right["signature"][:-4]}, "not of the key"),
        ({"signature": right["signature"][:-3] + "h=="}, "was changed"),
        ({"public_key": right["signature"]}, "was changed"),
        ({"more": 1}, "not a signature of this release"),
    ):
        path.write_text(json.dumps({**right, **change}))
        found = str(check_folder(folder, public))
        assert words in found or "not of the key" in found, (change, found)
    path.write_text("{")
    assert "not a table in JSON" in str(check_folder(folder, public))
    path.unlink()
    assert "has no signature.json; sign the run with edge-seq sign" in str(check_folder(folder, public))


def test_a_single_file_of_a_signed_folder(signed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, public = signed
    assert check_file(folder / "c" / "car.c", public) is None
    (folder / "c" / "car.c").write_text("int b;\n")
    assert check_file(folder / "c" / "car.c", public) == "c/car.c is not the file that was signed"
    (folder / "c" / "new.c").write_text("int b;\n")
    assert check_file(folder / "c" / "new.c", public) == "c/new.c is not the file that was signed"
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "a.blob").write_text("x")
    assert check_file(tmp_path / "alone" / "a.blob", public) == "a.blob has no signature.json in its folder or above it"


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    public = make_keys(tmp_path / "release.pem")
    private = tmp_path / "release.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert public == tmp_path / "release.pub.pem"
    assert b"PRIVATE" not in public.read_bytes()
    with pytest.raises(ConfigError, match="exists; a key is never overwritten"):
        make_keys(private)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("x")
    private.chmod(0o640)
    with pytest.raises(ConfigError, match=r"others can read it, so it is no secret. Run: chmod 600 release\.pem"):
        sign_folder(tmp_path / "files", private)
    private.chmod(0o600)
    assert hashes_of(tmp_path / "files") == sign_folder(tmp_path / "files", private).files


def test_wrong_keys_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    private, public, text = tmp_path / "ec.pem", tmp_path / "ec.pub.pem", tmp_path / "text.pem"
    private.write_bytes(other.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(other.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    text.write_text("hello")
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (private, text):
        path.chmod(0o600)
    for path, words in (
        (private, "not an Ed25519 key"),
        (text, "not a private key"),
        (folder / "none", "No such file"),
    ):
        with pytest.raises(ConfigError, match=words):
            sign_folder(folder, path)
    for path, words in (
        (public, "not an Ed25519 key"),
        (text, "not a public key"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(ConfigError, match=words):
            check_folder(folder, path)
    make_keys(tmp_path / "right.pem")
    with pytest.raises(DataError, match="holds no files; export the run first"):
        sign_folder(folder, tmp_path / "right.pem")


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ToolError, match=r'pip install "edge-seq\[evidence\]"'):
        make_keys(tmp_path / "release.pem")
