"""The ladder: its rungs and their order, what is not climbed when files were changed, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from edge_seq.backends.onnx.other_runtimes import EVALUATOR, OPENVINO
from edge_seq.data.window_file import counts_hash
from edge_seq.ir.model import model_hash
from edge_seq.parity import c_rungs, device_rungs, verification
from edge_seq.parity.compare import Comparison, Mismatch
from edge_seq.parity.ladder import LADDER_TITLE, Ladder, Rung, comparison_rung, write_junit
from edge_seq.parity.verification import FloatSide, TorchWeights, verify_models
from edge_seq.pipeline.export_folder import PORTABLE_WINDOW, ExportFolder
from edge_seq.support.errors import ExportError, ModelError, ParityError, ToolError
from tests.unit.parity.small import COUNTS, FLOAT, GCC, INPUTS, MODEL

RENDERED = {"c/small.c": b"", "onnx/int_step.onnx": b"s", "onnx/float_window.onnx": b"f", PORTABLE_WINDOW: b"p"}
FLOATS = [
    ("imported network = float reference", "budget"),
    ("torch = float reference", "budget"),
    ("float reference = float ONNX, window", "budget"),
    ("float reference = float ONNX, step", "budget"),
    ("cost of integers", "cost"),
]
GRAPHS = ["traced", "window", "step", "in onnx's evaluator", "in OpenVINO", "portable window"]
ON_C = [
    "integer reference = C on the host",
    "integer reference = C at full speed",
    "C self-test on the golden vectors",
    "integer reference = C on cortex_m4",
]
BOARD = [device_rungs.MODEL_RUNG, device_rungs.SELF_TEST_RUNG, device_rungs.STEPS_RUNG]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What each rung was given; every rung holds."""
    seen: dict[str, tuple[Any, ...]] = {}

    def climbed(name: str, *given: Any, **more: Any) -> Rung:
        seen[name] = (*given, *more.values())
        return Rung(name, "exact", "holds", "")

    for name in (
        *("original_rung", "torch_rung", "float_window_rung", "float_step_rung", "cost_rung", "trace_rung"),
        *("int_window_rung", "int_step_rung", "other_runtime_rung"),
    ):
        monkeypatch.setattr(verification, name, climbed)
    for name in ("host_rung", "host_library_rung", "self_test_rung", "target_rung"):
        monkeypatch.setattr(c_rungs, name, climbed)
    monkeypatch.setattr(device_rungs, "model_rung", lambda *_: Rung(BOARD[0], "exact", "holds", ""))
    monkeypatch.setattr(device_rungs, "self_test_rung", lambda device: climbed(BOARD[1], device))
    monkeypatch.setattr(device_rungs, "steps_rung", lambda *given, min_steps: climbed(BOARD[2], *given, min_steps))
    monkeypatch.setattr(verification, "find_compiler", lambda: GCC)
    monkeypatch.setattr(verification, "installed_runtimes", lambda: (EVALUATOR, OPENVINO))
    return seen


def names(ladder: Ladder) -> list[str]:
    return [rung.name for rung in ladder.rungs]


def of_graphs(*forms: str) -> list[str]:
    return [f"integer reference = integer ONNX{'' if form.startswith('in ') else ','} {form}" for form in forms]


def side() -> FloatSide:
    config: Any = "config"
    imported: Any = "network"
    return FloatSide(FLOAT, TorchWeights(lambda: {}, config), imported, 0.75, 0.125)


def test_all_rungs_in_their_order_and_what_they_are_given(
    calls: dict[str, tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in RENDERED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(verification, "changed_files", lambda folder, rendered: ())
    device: Any = "board"
    targets: Any = [SimpleNamespace(name="host", file=""), SimpleNamespace(name="cortex_m4", file="")]
    told: list[tuple[int, int, str]] = []
    ladder = verify_models(
        MODEL, INPUTS, RENDERED, exports=ExportFolder(tmp_path), float_side=side(), targets=targets, device=device,
        device_steps=77, progress=lambda *given: told.append(given),
    )  # fmt: skip
    expected = [verification.EXPORTS_RUNG, *(name for name, _ in FLOATS), *of_graphs(*GRAPHS), *ON_C, *BOARD]
    assert names(ladder) == expected
    assert [name for _, _, name in told] == [*expected, "done"]
    assert [(place, of) for place, of, _ in told] == [(place, len(expected)) for place in range(len(expected) + 1)]
    assert (ladder.model_hash, ladder.input_hash) == (model_hash(MODEL), counts_hash(COUNTS))
    assert calls["cost of integers"] == (FLOAT, MODEL, INPUTS.side, 0.75, 0.125)
    assert calls["torch = float reference"][1:] == ("config", FLOAT, INPUTS)
    assert calls["imported network = float reference"][0] == "network"
    assert calls[BOARD[1]] == ("board",)
    assert calls[BOARD[2]][3:] == (77,)
    paths = {name: given[0] for name, given in calls.items() if given and isinstance(given[0], Path)}
    paths |= {name: calls[name][0] for name in of_graphs("in onnx's evaluator", "in OpenVINO")}
    onnx = {name: path.relative_to(tmp_path).as_posix() for name, path in paths.items() if "ONNX" in name}
    assert onnx == {
        FLOATS[2][0]: "onnx/float_window.onnx",
        FLOATS[3][0]: "onnx/float_step.onnx",
        **dict(
            zip(
                of_graphs("window", "step", "in onnx's evaluator", "in OpenVINO", "portable window"),
                ("onnx/int_window.onnx", *("onnx/int_step.onnx",) * 3, PORTABLE_WINDOW),
                strict=True,
            )
        ),
    }
    assert {path.name for name, path in paths.items() if " C " in name or name.startswith("C ")} == {"c"}
    assert not any(path.is_relative_to(tmp_path) for name, path in paths.items() if name in ON_C), "C of our own"


def test_fewer_rungs_without_floats_exports_board_and_runtimes(
    calls: dict[str, tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "installed_runtimes", lambda: ())
    found = verify_models(MODEL, INPUTS, {"c/small.c": b""})
    assert names(found) == [*of_graphs("traced", "window", "step"), *ON_C[:3]]
    assert found.holds
    found = verify_models(MODEL, INPUTS, {"c/small.c": b""}, float_side=FloatSide(FLOAT))
    assert names(found)[:3] == [name for name, _ in FLOATS[2:]]
    assert calls["cost of integers"][3:] == (0.99, 0.005)


@pytest.mark.parametrize(
    ("changed", "skipped"),
    [
        ("c/small.c", ON_C),
        ("onnx/int_step.onnx", of_graphs("step", "in onnx's evaluator", "in OpenVINO")),
        ("onnx/int_window.onnx", of_graphs("window")),
        (PORTABLE_WINDOW, of_graphs("portable window")),
        ("onnx/float_window.onnx", [FLOATS[2][0]]),
        ("onnx/float_step.onnx", [FLOATS[3][0]]),
    ],
)
def test_rungs_that_rest_on_a_changed_file_are_not_climbed(
    changed: str, skipped: list[str], calls: dict[str, tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "changed_files", lambda folder, rendered: (changed, "other.txt"))
    targets: Any = [SimpleNamespace(name="cortex_m4", file="")]
    ladder = verify_models(MODEL, INPUTS, RENDERED, exports=ExportFolder(tmp_path), float_side=side(), targets=targets)
    first, *others = ladder.rungs
    assert (first.name, first.verdict) == (verification.EXPORTS_RUNG, "failed")
    assert f"{changed}, other.txt: not what this release" in first.detail
    assert [rung.name for rung in others if rung.verdict == "skipped"] == skipped
    kinds = dict(FLOATS)
    for rung in others:
        if rung.verdict == "skipped":
            assert rung.detail.startswith(f"not run: {changed}: not what")
            assert rung.kind == kinds.get(rung.name, "exact")
            assert rung.name not in calls
    assert not ladder.holds


def test_an_error_in_a_rung_is_its_failure_and_the_others_are_climbed(
    calls: dict[str, tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = dict(FLOATS)
    for name, attribute, where in (
        (FLOATS[0][0], "original_rung", verification),
        (FLOATS[1][0], "torch_rung", verification),
        (FLOATS[2][0], "float_window_rung", verification),
        (FLOATS[3][0], "float_step_rung", verification),
        (FLOATS[4][0], "cost_rung", verification),
        (of_graphs("step")[0], "int_step_rung", verification),
        (ON_C[0], "host_rung", c_rungs),
    ):
        for error in (ExportError, ModelError, ParityError, ToolError) if name == ON_C[0] else (ParityError,):

            def broken(*_: Any, error: type[Exception] = error, **__: Any) -> Rung:
                raise error("what was found")

            with monkeypatch.context() as patch:
                patch.setattr(where, attribute, broken)
                ladder = verify_models(MODEL, INPUTS, RENDERED, float_side=side())
            failed = [rung for rung in ladder.rungs if rung.verdict == "failed"]
            assert failed == [Rung(name, kinds.get(name, "exact"), "failed", "what was found")]  # type: ignore[arg-type]
            assert len(ladder.rungs) == len(FLOATS) + len(GRAPHS) + 3


def test_a_wrong_board_is_the_only_rung(calls: dict[str, tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*_: Any) -> Rung:
        raise ParityError("the board has another model")

    monkeypatch.setattr(device_rungs, "model_rung", other)
    device: Any = "board"
    ladder = verify_models(MODEL, INPUTS, RENDERED, device=device)
    assert ladder.rungs == (Rung(BOARD[0], "exact", "failed", "the board has another model"),)
    assert (ladder.model_hash, ladder.input_hash, calls) == (model_hash(MODEL), "", {})


COMPARED = Comparison(3, 1_234, 56_789, 0, None, 0.0, ("logits",))
WRONG = Comparison(3, 15, 60, 2, Mismatch(1, 2, "logits", 0, 5, 6), 1.0, ("logits",))


def test_how_a_ladder_is_shown_and_written(tmp_path: Path) -> None:
    rungs = (
        comparison_rung("one", COMPARED, detail="as told"),
        comparison_rung("two", COMPARED, tolerance=0.5, detail="near"),
        comparison_rung("three", WRONG, detail="not told"),
        Rung("four", "cost", "skipped", "too few"),
    )
    assert [(rung.kind, rung.verdict, rung.detail) for rung in rungs[:3]] == [
        ("exact", "holds", "as told"),
        ("budget", "holds", "near"),
        ("exact", "failed", "window 1, time step 2, logits[0]: expected 5, found 6"),
    ]
    (table,) = Ladder("", "", rungs).tables()
    assert (table.title, list(table.columns)) == (
        LADDER_TITLE,
        ["rung", "kind", "steps", "values", "verdict", "detail"],
    )
    assert table.rows[0] == ["one", "exact", "1,234", "56,789", "holds", "as told"]
    assert table.rows[3] == ["four", "cost", "-", "-", "skipped", "too few"]
    for chosen, words, holds in (
        (rungs, "IT DOES NOT HOLD, 1 of 4 rungs skipped", False),
        (rungs[:2], "it holds", True),
        ((rungs[0], rungs[3]), "it holds, 1 of 2 rungs skipped", True),
        (rungs[1:2], "IT DOES NOT HOLD", False),  # no exact rung
        (rungs[2:3], "IT DOES NOT HOLD", False),
    ):
        ladder = Ladder("", "", tuple(chosen))
        assert (ladder.verdict, ladder.closing(), ladder.holds) == (words, words, holds)
    write_junit(Ladder("", "", rungs), tmp_path / "verify.xml")
    text = (tmp_path / "verify.xml").read_text(encoding="utf-8")
    assert text.startswith("<?xml version=")
    assert text.endswith("</testsuite>\n")
    suite = ElementTree.fromstring(text)
    assert suite.attrib == {"name": "edge-seq verify", "tests": "4", "failures": "1", "errors": "0", "skipped": "1"}
    cases = [(one.get("classname"), one.get("name"), [(two.tag, two.attrib) for two in one]) for one in suite]
    assert cases == [
        ("parity.exact", "one", []),
        ("parity.budget", "two", []),
        ("parity.exact", "three", [("failure", {"message": rungs[2].detail})]),
        ("parity.cost", "four", [("skipped", {"message": "too few"})]),
    ]
