"""The recipes behind the figures in the documents are valid and use the options that the documents state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_seq.data.source import load_source
from edge_seq.pipeline.config import SIMULATOR, load_config

FOLDER = Path(__file__).parents[3] / "datasets" / "recipes"
WINDOW_LENGTH = {"hapt": 128, "hapt_tiny": 128, "road_surface_tartu": 50, "fan_vibration": 100}
RECIPES = ("car_states", *WINDOW_LENGTH)
SOURCES = ("road_surface_tartu_difference",)


def test_every_configuration_is_a_known_recipe_or_a_data_source() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {*RECIPES, *SOURCES}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str) -> None:
    config = load_config(FOLDER / f"{name}.toml")
    assert config.training.cell in (("fastgrnn",) if name == "hapt_tiny" else ("gru", "lstm"))
    assert config.training.hidden_size <= (16 if name == "car_states" else 32)
    if name == "car_states":
        assert config.data.source == SIMULATOR
    else:
        contract = load_source(Path(config.data.source)).contract
        assert contract.window_length == WINDOW_LENGTH[name]
        assert set(config.training.channel_gains) <= set(contract.channel_names)
        # All groups are in the training part, so there is no validation part to choose an epoch by.
        assert config.data.validation_fraction == 0
        assert config.training.keep == "last"


def test_documents_hold_no_placeholder_and_name_recipes_that_exist() -> None:
    root = FOLDER.parents[1]
    documents = [*root.glob("*.md"), *(path for name in ("datasets", "docs") for path in (root / name).rglob("*.md"))]
    documents += (root / "firmware_export").glob("*.md")
    assert len(documents) > 30
    named: set[str] = set()
    for document in documents:
        text = document.read_text(encoding="utf-8")
        assert not re.search(r"@[A-Z0-9_]+@", text), document
        named |= set(re.findall(r"recipes/(\w+)\.toml", text))
    assert {"car_states", "hapt"} <= named - {"NAME"} <= {*RECIPES, *SOURCES}
