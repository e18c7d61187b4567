"""The table of kinds says what the layers are, and nothing that a kind needs is missing elsewhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
import pytest

from edge_seq.backends.reference_int import layer_state, reset_state, saved_states
from edge_seq.compare.plots import COLOURS
from edge_seq.ir import kinds, range_proof
from edge_seq.ir.kind_names import CELL_NAMES, KIND_NAMES, KindName, one_of
from edge_seq.ir.kinds import arrays_of, kind_named, kind_of
from edge_seq.ir.range_proof import prove_ranges
from edge_seq.ir.rows import Rows
from edge_seq.ir.verify import verify
from edge_seq.support.errors import ModelError, RangeProofError
from firmware_export.emission.emit import RUNTIME_FOLDER
from tests.zoo import quantized_model, random_float_model, spec

SPEC = (RUNTIME_FOLDER.parent / "SPEC.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KIND_NAMES)
def test_an_entry_is_that_of_its_class(name: KindName) -> None:
    kind = kind_named(name)
    assert kind.name == name == kind.layer.__name__.lower()
    fields = [field.name for field in dataclasses.fields(kind.layer)]
    assert fields == [*(group.name for group in kind.rows), *(constant.name for constant in kind.constants)]
    assert kind.saved[0] == "operands"
    assert kind.state_names[-1] == "hidden_state"
    assert {kind.keep_gate, kind.write_gate} - {None} <= {one.name for one in kind.traced if one.use == "sigmoid"}
    if kind.calibrated is not None:
        assert kind.calibrated in kind.saved
    for constant in kind.constants:
        assert constant.lowest <= constant.first <= constant.highest
        assert constant.int_lowest <= constant.zero <= constant.int_highest
    assert kind_of(random_float_model(spec(name, 3)).layers[0]) is kind


@pytest.mark.parametrize("name", KIND_NAMES)
def test_a_kind_is_in_the_specification_and_in_the_runtime(name: KindName) -> None:
    cells = SPEC[SPEC.index("## 6. Cells") : SPEC.index("## 7. A step")]
    assert f"**{kind_named(name).layer.__name__}.**" in cells
    assert (RUNTIME_FOLDER / "src" / f"es_{name}.c").is_file()
    assert f"void es_{name}_step(" in (RUNTIME_FOLDER / "include" / "edge_seq.h").read_text(encoding="utf-8")


def test_every_cell_has_a_colour() -> None:
    assert set(COLOURS) == set(CELL_NAMES)
    assert len(set(COLOURS.values())) == len(CELL_NAMES)


@pytest.mark.parametrize("name", KIND_NAMES)
def test_sizes_of_a_step_are_those_of_the_arrays(name: KindName) -> None:
    layer = random_float_model(spec(name, 5, channels=3)).layers[0]
    arrays = arrays_of(layer)
    assert kind_named(name).parameters(3, 5) == sum(array.size for array in arrays.values())
    assert kind_named(name).macs(3, 5) == sum(array.size for key, array in arrays.items() if ".weight_" in key)


@pytest.mark.parametrize("name", KIND_NAMES)
def test_saved_states_are_taken_apart_and_put_together(name: KindName) -> None:
    model = quantized_model(spec(name, 5))
    (layer,) = reset_state(model, 2).layers
    kind = kind_named(name)
    numbers = {state: np.full((2, 8), index) for index, state in enumerate(kind.saved)}
    found = layer_state(kind, numbers)
    assert {state: array.tolist() for state, array in saved_states(kind, found).items()} == {
        state: array.tolist() for state, array in numbers.items()
    }
    assert tuple(saved_states(kind, layer)) == kind.saved
    assert found.cell.shape == ((2, 8) if "cell_state" in kind.saved else (2, 0))


def test_names_as_a_sentence() -> None:
    assert one_of(CELL_NAMES) == "rnn, gru, lstm or fastgrnn"


@dataclass(frozen=True)
class Planted(Generic[Rows]):
    """A kind that only its table knows."""

    hidden: Rows


PLANTED = replace(kind_named("rnn"), layer=Planted)


def test_a_kind_without_bounds_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    model = quantized_model(spec("rnn", 3))
    planted: Any = replace(model, layers=(Planted(model.layers[0].hidden),))  # type: ignore[union-attr]
    with pytest.raises(ModelError, match=r"layer 0 is a Planted; expected one of the kinds \['rnn', 'gru', 'lstm', "):
        verify(planted)

    def known(layer: Any) -> kinds.LayerKind:
        return PLANTED if isinstance(layer, Planted) else kind_of(layer)

    monkeypatch.setattr(kinds, "kind_of", known)
    monkeypatch.setattr(range_proof, "kind_of", known)
    with pytest.raises(
        RangeProofError, match="the intermediates of a Planted are not known, so nothing is proven; exp"
    ):
        prove_ranges(planted)
