"""Signatures of a folder: Ed25519 over the SHA-256 of every file in it, kept in the folder as ``signature.json``.

The ``cryptography`` package signs and checks. A signature says who made the files, and that none was changed, added or
removed since. It says nothing about what is in them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.support.files import json_text
from edge_seq.support.json_tables import load_json, save_json
from edge_seq.support.opening import open_regular, read_bytes
from edge_seq.support.results import Result

SIGNATURE = "signature.json"
FORMAT = "edge_seq signature 1"
LISTED = 4  # files that a message names
_OTHERS = 0o077  # permissions of everybody but the owner


@dataclass(frozen=True)
class Signature(Result):
    """A signed list of files.

    Attributes:
        format: version of this table.
        files: SHA-256 of each file by its path in the folder.
        public_key: raw public key of the signer, base64; it tells keys apart, and is not trusted.
        signature: Ed25519 signature of the list, base64.
    """

    format: str
    files: dict[str, str]
    public_key: str
    signature: str


def sha256_of(path: Path) -> str:
    """SHA-256 of a regular file, hexadecimal.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def hashes_of(folder: Path, *, without: tuple[str, ...] = (SIGNATURE,)) -> dict[str, str]:
    """SHA-256 of every file below a folder by its path in it, sorted.

    Args:
        folder: the folder.
        without: paths that are left out.

    Raises:
        DataError: something in it is neither a file nor a folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in without or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise DataError(f"hashing {folder.name}: {name} is a link or a special file; replace it by a copy")
        found[name] = sha256_of(path)
    return dict(sorted(found.items()))


def make_keys(path: Path) -> Path:
    """Make a pair of keys: the private key in ``path``, readable by its owner alone, the public key beside it.

    Returns:
        Path of the public key, with the ending ``.pub.pem``.

    Raises:
        ConfigError: a key is already there.
        ToolError: the package ``cryptography`` is not installed.
    """
    ed25519, serialization, _ = _cryptography()
    public = path.with_name(f"{path.stem}.pub.pem")
    for file in (path, public):
        if file.exists() or file.is_symlink():
            raise ConfigError(f"making a key: {file} exists; a key is never overwritten. Give another name")
    key = ed25519.Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    for file, content, mode in (
        (path, secret, 0o600),
        (public, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo), 0o644),
    ):
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(content)
    return public


def sign_folder(folder: Path, private_key: Path) -> Signature:
    """Sign every file below a folder, and write ``signature.json`` into it.

    Raises:
        ConfigError: the key cannot be used, or others than its owner can read it.
        DataError: the folder holds a link or a special file, or no files.
        ToolError: the package ``cryptography`` is not installed.
    """
    key = _private_key(private_key)
    files = hashes_of(folder)
    if not files:
        raise DataError(f"signing {folder.name}: the folder holds no files; export the run first")
    _, serialization, _ = _cryptography()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    signed = Signature(FORMAT, files, _text(raw), _text(key.sign(_message(files))))
    save_json(folder / SIGNATURE, signed)
    return signed


def check_folder(folder: Path, public_key: Path) -> str | None:
    """Check the signature of a folder, and that its files are those that were signed.

    Args:
        folder: folder with a ``signature.json``.
        public_key: public key, PEM.

    Returns:
        None if all is right, else what is wrong.

    Raises:
        ConfigError: the public key cannot be used.
        ToolError: the package ``cryptography`` is not installed.
    """
    signed, fault = _signed(folder, public_key)
    return fault if signed is None else _changes(folder, signed)


def check_whole(folder: Path) -> str | None:
    """Check that a folder is as it was when it was signed, by the key that its ``signature.json`` names.

    Anybody can sign with a key of their own, so this shows that the folder is whole, not who made it.

    Returns:
        None if it is, or if there is no such file; else what is wrong.

    Raises:
        ToolError: the package ``cryptography`` is not installed.
    """
    if not (folder / SIGNATURE).is_file():
        return None
    table, fault = signed_list(folder / SIGNATURE)
    return fault if table is None else _changes(folder, table)


def signed_list(path: Path) -> tuple[dict[str, str] | None, str]:
    """The list of files of a ``signature.json`` that its own key has signed, or None and what is wrong.

    Raises:
        ToolError: the package ``cryptography`` is not installed.
    """
    ed25519, _, _ = _cryptography()
    table, fault = _table(path)
    if table is None:
        return None, fault
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(table["public_key"], validate=True))
    except ValueError:
        return None, f"{path.name} is damaged: its public_key is no Ed25519 key"
    if fault := _forgery(table, key, "that it names"):
        return None, fault
    return table["files"], ""


def key_of(folder: Path) -> str:
    """The public key that a folder's ``signature.json`` names, base64; empty if there is none. It is not trusted."""
    table, _ = _table(folder / SIGNATURE) if (folder / SIGNATURE).is_file() else (None, "")
    return "" if table is None else str(table["public_key"])


def _changes(folder: Path, signed: Mapping[str, str]) -> str | None:
    """How the files of a folder differ from a signed list, and the list from how it is written; None if they do not."""
    if read_bytes(folder / SIGNATURE) != f"{json_text(load_json(folder / SIGNATURE))}\n".encode():
        return f"{SIGNATURE} was changed"
    found = hashes_of(folder)
    wrong = [
        *(f"{name} was changed" for name in sorted(found) if name in signed and found[name] != signed[name]),
        *(f"{name} is missing" for name in sorted(signed) if name not in found),
        *(f"{name} was added" for name in sorted(found) if name not in signed),
    ]
    if not wrong:
        return None
    more = f", and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
    return f"{', '.join(wrong[:LISTED])}{more} since the signature"


def check_file(path: Path, public_key: Path) -> str | None:
    """Check that a file is one of a signed folder: its own or one above it. See :func:`check_folder`."""
    for folder in list(path.absolute().parents)[:3]:
        if (folder / SIGNATURE).is_file():
            signed, fault = _signed(folder, public_key)
            if signed is None:
                return fault
            name = path.absolute().relative_to(folder).as_posix()
            if signed.get(name) != sha256_of(path):
                return f"{name} is not the file that was signed"
            return None
    return f"{path.name} has no {SIGNATURE} in its folder or above it"


def _signed(folder: Path, public_key: Path) -> tuple[Mapping[str, str] | None, str]:
    """The signed list of files, or None and what is wrong."""
    key = _public_key(public_key)
    if not (folder / SIGNATURE).is_file():
        return None, f"{folder.name} has no {SIGNATURE}; sign the run with edge-seq sign"
    table, fault = _table(folder / SIGNATURE)
    if table is None:
        return None, fault
    if fault := _forgery(table, key, public_key.name):
        return None, fault
    files: dict[str, str] = table["files"]
    return files, ""


def _forgery(table: Mapping[str, Any], key: Any, name: str) -> str:
    """What shows that a table is not as the owner of a key signed it; empty if nothing does."""
    _, _, invalid = _cryptography()
    try:
        raw = base64.b64decode(table["signature"], validate=True)
        key.verify(raw, _message(table["files"]))
    except ValueError:
        return f"{SIGNATURE} is damaged"
    except invalid:
        return f"the signature is not of the key {name}, or the list of files was changed"
    written = _text(raw) == table["signature"] and _text(_raw(key)) == table["public_key"]
    return "" if written else f"{SIGNATURE} was changed"


def _table(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The content of a ``signature.json``, or None and what is wrong with it."""
    try:
        table = load_json(path)
    except DataError as error:
        return None, str(error)
    files = table.get("files")
    if (
        table.get("format") != FORMAT
        or set(table) != {"format", "files", "public_key", "signature"}
        or not isinstance(table["signature"], str)
        or not isinstance(table["public_key"], str)
        or not isinstance(files, dict)
        or not all(isinstance(value, str) for value in files.values())
    ):
        return None, f"{SIGNATURE} is not a signature of this release"
    return table, ""


def _message(files: Mapping[str, str]) -> bytes:
    return f"{FORMAT}\n{json_text(dict(sorted(files.items())))}\n".encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _raw(key: Any) -> bytes:
    _, serialization, _ = _cryptography()
    raw: bytes = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def _private_key(path: Path) -> Any:
    ed25519, serialization, _ = _cryptography()
    doing = f"reading the private key {path.name}"
    try:
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise ConfigError(f"{doing}: others can read it, so it is no secret. Run: chmod 600 {path.name}")
        key = serialization.load_pem_private_key(read_bytes(path), password=None)
    except OSError as error:
        raise ConfigError(f"{doing}: {error.strerror}. Make one with edge-seq sign --new-key {path.name}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{doing}: it is not a private key in PEM without a password. Make one with edge-seq sign --new-key FILE"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{doing}: it is not an Ed25519 key. Make one with edge-seq sign --new-key FILE")
    return key


def _public_key(path: Path) -> Any:
    ed25519, serialization, _ = _cryptography()
    doing = f"reading the public key {path.name}"
    expected = "expected the .pub.pem file of edge-seq sign --new-key"
    try:
        key = serialization.load_pem_public_key(read_bytes(path))
    except OSError as error:
        raise ConfigError(f"{doing}: {error.strerror}; {expected}") from error
    except ValueError as error:
        raise ConfigError(f"{doing}: it is not a public key in PEM; {expected}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ConfigError(f"{doing}: it is not an Ed25519 key; {expected}")
    return key


def _cryptography() -> tuple[ModuleType, ModuleType, type[Exception]]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ToolError('signatures need the package cryptography; run: pip install "edge-seq[evidence]"') from error
    return ed25519, serialization, InvalidSignature
