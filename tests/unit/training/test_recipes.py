"""The recipes that the documents' figures come from can be read, and keep to what was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.data.source import load_source
from edge_seq.workflow.config import SIMULATOR, load_config

FOLDER = Path(__file__).parents[3] / "datasets" / "recipes"
RECIPES = ("car_states", "hapt", "road_surface_tartu")
SOURCES = ("road_surface_tartu_difference",)


def test_every_configuration_is_a_known_recipe_or_a_data_source() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {*RECIPES, *SOURCES}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str) -> None:
    config = load_config(FOLDER / f"{name}.toml")
    assert config.training.cell in ("gru", "lstm")
    assert config.training.hidden_size <= (16 if name == "car_states" else 32)
    if name == "car_states":
        assert config.data.source == SIMULATOR
    else:
        contract = load_source(Path(config.data.source)).contract
        assert contract.window_length == (128 if name == "hapt" else 50)
        # All groups train, so nothing may be picked by a part that is not there.
        assert config.data.validation_fraction == 0
        assert config.training.keep == "last"
