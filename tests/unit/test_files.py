from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from edge_seq.support.errors import ConfigError
from edge_seq.support.files import replace_when_done, stays_in_folder, write_atomically
from edge_seq.support.lock import holding


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_text_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "a.bin", b"\x00\r\n\xff")
    write_atomically(tmp_path / "b.txt", "ä\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\r\n\xff"
    assert (tmp_path / "b.txt").read_bytes() == b"\xc3\xa4\n"
    assert names_in(tmp_path) == ["a.bin", "b.txt"]


def test_an_existing_file_is_replaced_and_missing_folders_are_made(tmp_path):
    path = tmp_path / "run" / "report.json"
    write_atomically(path, "long old content")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert names_in(path.parent) == ["report.json"]


def test_the_old_content_is_there_until_the_new_is_whole(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with replace_when_done(path) as temporary:
        assert temporary.parent == path.parent  # a rename across file systems would not be atomic
        assert temporary.suffix == ".onnx"  # some tools choose the format by the suffix
        temporary.write_text("half")
        assert path.read_text() == "old"
        temporary.write_text("whole")
    assert path.read_text() == "whole"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("old")

    def fail_half_way() -> None:
        with replace_when_done(path) as temporary:
            temporary.write_text("half")
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        fail_half_way()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["model.onnx"]


def test_an_error_where_there_was_no_file_leaves_none(tmp_path):
    def fail_half_way() -> None:
        with replace_when_done(tmp_path / "new.c") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="file modes and umask are POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_mode_follows_the_umask_as_for_any_new_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a.txt", "a")
        assert os.umask(umask) == umask  # unchanged by the call
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


@pytest.mark.parametrize("name", ["a.c", "./a.c", "runtime/src/a.c", "walk 1..csv", "..a/b", ""])
def test_names_that_stay_in_their_folder(name):
    assert stays_in_folder(name)


@pytest.mark.parametrize("name", ["..", "../a", "a/../b", "/a", "\\a", "a\\..\\b", "C:/a", "c:a", "//server/share/a"])
def test_names_that_may_leave_their_folder(name):
    assert not stays_in_folder(name)


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path):
    """Errors of writing have no name of their own; the temporary file's name would not be known to anybody."""
    path = tmp_path / "model.onnx"

    def fail(name: str | None) -> None:
        with replace_when_done(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device", str(temporary) if name == "" else name)

    for name, told in ((None, path), ("", path), ("other", "other")):
        with pytest.raises(OSError, match="No space left") as caught:
            fail(name)
        assert caught.value.filename == str(told)
        assert names_in(tmp_path) == []


def test_a_held_folder_that_is_left_empty_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the first error"), holding(tmp_path / "empty", what="run x"):
        raise ValueError("the first error")
    assert not (tmp_path / "empty").exists()


def test_a_held_folder_that_vanishes_hides_no_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.result\.json"), holding(tmp_path / "gone", what="run x"):
        (shutil.rmtree(tmp_path / "gone"), (tmp_path / "gone" / "result.json").write_text("{}"))


def test_a_folder_is_held_once_and_again_after_that(tmp_path: Path) -> None:
    with holding(tmp_path / "kept", what="run x"):
        (tmp_path / "kept" / "result.json").write_text("{}")
        refused = pytest.raises(ConfigError, match="run x: another process writes to it; wait until that ends")
        with refused, holding(tmp_path / "kept", what="run x"):
            pass
    with holding(tmp_path / "kept", what="run x"):
        pass
    assert (tmp_path / "kept" / "result.json").exists()


def test_what_is_no_lock_is_named(tmp_path: Path) -> None:
    """A folder, or a link to a file of somebody else, in place of the lock."""
    for name in ("of a folder", "of a link"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{}")
    (tmp_path / "of a folder" / ".lock").mkdir()
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "of a link" / ".lock").symlink_to(tmp_path / "victim")
    with (
        pytest.raises(
            ConfigError, match=r"run x: cannot hold its lock, .*\.lock: Is a directory.*remove what is there"
        ),
        holding(tmp_path / "of a folder", what="run x"),
    ):
        pass
    with suppress(ConfigError), holding(tmp_path / "of a link", what="run x"):
        pass
    assert (tmp_path / "victim").read_text() == "kept"
    assert names_in(tmp_path / "of a folder") == [".lock", "result.json"]
