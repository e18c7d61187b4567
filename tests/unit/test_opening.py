"""Files of others: only regular ones, no more than the memory holds, and plain errors whatever they hold."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edge_seq.support import memory
from edge_seq.support.json_tables import load_json
from edge_seq.support.memory import LIMIT, check_memory, memory_limit, parse_size
from edge_seq.support.opening import (
    load_tensors,
    load_toml,
    open_regular,
    parse_json,
    parse_toml,
    read_bytes,
    read_text,
)

NOT_LINUX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")


@NOT_LINUX
def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for reads in (open_regular, read_bytes, read_text, load_toml, load_tensors):
        with pytest.raises(OSError, match=r"^it is not a regular file$"):
            reads(tmp_path / "pipe")


@NOT_LINUX
def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to("/dev/zero")
    with pytest.raises(OSError, match=r"^it is not a regular file$"):
        read_bytes(tmp_path / "linked")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"regular file|ermission"):
        read_bytes(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")


def test_a_file_larger_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1K")
    (tmp_path / "large").write_bytes(bytes(1025))
    (tmp_path / "small").write_bytes(bytes(1024))
    assert read_bytes(tmp_path / "small") == bytes(1024)
    with pytest.raises(OSError, match=r"it takes 1,025 bytes of memory, more than the limit of 1,024.*--memory-limit"):
        read_bytes(tmp_path / "large")
    with pytest.raises(OSError, match=r"it takes 2,000 bytes"):
        check_memory("x", 2000)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"12")

    def grow(*_: object) -> None:
        path.write_bytes(b"12345")

    monkeypatch.setattr("edge_seq.support.opening.check_memory", grow)
    with pytest.raises(OSError, match="it grew while it was read"):
        read_bytes(path)


def test_the_limit_is_a_share_of_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    (tmp_path / "memory.max").write_text("4000000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "memory.max")
    assert memory_limit() == 1_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit() > 1 << 27
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory_limit() == 1 << 31


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1.5G", "3x", "G", "1" * 16, "٣"])
def test_sizes_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="is not a number of bytes; expected for example 4G"):
        parse_size(text)
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(ValueError, match="is not a number of bytes"):
        memory_limit()


@pytest.mark.parametrize("size", ["2GiB", "2gb", "2 G", "2048M", str(2**31)])
def test_sizes_with_units(size: str) -> None:
    assert parse_size(size) == 2**31


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 400 + "}", "has 400 digits"),
        ('{"a": -' + "9" * 5000 + "}", "has 5001 digits"),
        ("[18446744073709551616]", "has 20 digits"),
        ("[1,]", "Expecting|Illegal"),
    ],
)
def test_json_of_others(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text)
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(Exception, match=r"reading table.json: not a table in JSON .*make it again"):
        load_json(tmp_path / "table.json")


def test_json_keeps_numbers_of_64_bits() -> None:
    assert parse_json("[18446744073709551615, -1, 1.5]") == [2**64 - 1, -1, 1.5]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a = " + "[" * 150 + "]" * 150, "nested too deeply"),
        ("a = {b = [" + "9" * 400 + "]}", "beyond 64 bits"),
        ("a = " + "9" * 5000, "."),
        ("a = ", "."),
    ],
)
def test_toml_of_others(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_toml(text)
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ValueError, match=problem):
        load_toml(tmp_path / "x.toml")


def test_tensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": np.arange(3, dtype=np.int16)}, metadata={"k": "v"}))
    tensors, metadata = load_tensors(path)
    assert (tensors["a"].tolist(), metadata) == ([0, 1, 2], {"k": "v"})
    path.write_bytes(safetensors.numpy.save({"a": np.arange(3)}))
    assert load_tensors(path)[1] == {}
    header = b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
    for content in (b"", bytes(7), b"\xff" * 100, len(header).to_bytes(8, "little") + header + b"\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^not a whole safetensors file \("):
            load_tensors(path)
