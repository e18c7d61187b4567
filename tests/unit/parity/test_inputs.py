"""What the rungs compare, and whether exported files are up to date."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_seq.backends.extremes import extreme_makers, windows_in_turn
from edge_seq.backends.onnx.int_export import export_onnx_int
from edge_seq.cli import verify as verify_command
from edge_seq.data.recording import Windows
from edge_seq.parity import inputs
from edge_seq.parity.export_rungs import changed_files, exports_rung, require_unchanged
from edge_seq.parity.inputs import choose_inputs, streams_of
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ParityError
from tests.unit.parity.small import COUNTS, MODEL, WINDOWS


def test_windows_are_spread_evenly_and_extreme_ones_follow() -> None:
    for most, chosen in ((3, [0, 4, 8]), (4, [0, 2, 5, 8]), (9, list(range(9))), (50, list(range(9))), (1, [0])):
        found = choose_inputs(WINDOWS, MODEL, max_windows=most, extreme_windows=6)
        assert np.array_equal(found.held_out, COUNTS[chosen]), most
        assert np.array_equal(found.exact[: len(chosen)], found.held_out)
        extreme = windows_in_turn(extreme_makers(np.random.default_rng(0), (7, 3)), 6)
        assert np.array_equal(found.exact[len(chosen) :], np.array(extreme))
        assert found.side is WINDOWS
    one = Windows(COUNTS[:1], WINDOWS.labels[:1], WINDOWS.groups[:1])
    assert len(choose_inputs(one, MODEL, max_windows=5, extreme_windows=0).exact) == 1


def test_python_compares_as_many_windows_as_the_command() -> None:
    given = inspect.signature(verify_command.command).parameters
    assert (given["windows"].default, given["extreme"].default) == (inputs.MAX_WINDOWS, inputs.EXTREME_WINDOWS)


def test_each_window_of_a_stream_follows_another() -> None:
    found = streams_of(COUNTS)
    assert found.shape == (9, 14, 3)
    for index in range(9):
        assert np.array_equal(found[index], np.concatenate([COUNTS[index], COUNTS[index - 1]]))


def test_exported_files_that_differ_are_named(tmp_path: Path) -> None:
    graph = export_onnx_int(MODEL, form="step")
    rendered = {name: name.encode() for name in ("c/a.c", "c/b.c", "c/c.c", "c/d.c", "c/e.c", "c/f.c")}
    rendered["onnx/int_step.onnx"] = graph.SerializeToString(deterministic=True)
    for name, content in rendered.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert changed_files(tmp_path, rendered) == ()
    assert exports_rung("files", (), rendered) == Rung("files", "exact", "holds", "7 files")
    require_unchanged(tmp_path, rendered, doing="measuring it")
    (tmp_path / "onnx" / "int_step.onnx").write_bytes(onnx.load_model_from_string(
        rendered["onnx/int_step.onnx"]).SerializeToString(deterministic=False))  # fmt: skip
    assert changed_files(tmp_path, rendered) == (), "other bytes of the same graph"
    (tmp_path / "onnx" / "int_step.onnx").write_bytes(b"no graph")
    (tmp_path / "c" / "b.c").write_bytes(b"c/B.c")  # as long as before
    (tmp_path / "c" / "a.c").unlink()
    found = changed_files(tmp_path, rendered)
    assert found == ("c/a.c", "c/b.c", "onnx/int_step.onnx")
    with pytest.raises(ParityError, match=r"^measuring it: c/a\.c, c/b\.c, onnx/int_step\.onnx: not what this release"):
        require_unchanged(tmp_path, rendered, doing="measuring it")
    four = exports_rung("files", ("a", "b", "c", "d"), rendered)
    assert (four.name, four.kind, four.verdict) == ("files", "exact", "failed")
    assert four.detail.startswith("a, b, c, d: not what this release of edge_seq makes from the run's models (stale")
    assert exports_rung("files", ("a", "b", "c", "d", "e"), rendered).detail.startswith("a, b, c, d and 1 more: not")
    assert exports_rung("files", tuple("abcdefg"), rendered).detail.startswith("a, b, c, d and 3 more: not")
