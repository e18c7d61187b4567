"""Models of the zoo that together cover every cell, preprocessing, pooling and readout, with their exports and
reference traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.backends.reference_int import run_reference
from edge_seq.ir.model import IntModel
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from tests.targets.running import Case, counts_for
from tests.zoo import awkward_models, random_counts

CHOSEN = (
    "rnn_wide_extreme",
    "rnn_mixed",
    "gru_small_extreme",
    "gru_deep",
    "gru_stream",
    "lstm_one_extreme",
    "lstm_car",
    "lstm_carry_extreme",
)


@pytest.fixture(scope="session")
def models() -> list[IntModel]:
    """Chosen models, in the order of CHOSEN."""
    by_name = {model.name: model for model in awkward_models()}
    return [by_name[name] for name in CHOSEN]


@pytest.fixture(scope="session")
def folders(models: list[IntModel], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Export folder by model name."""
    root = tmp_path_factory.mktemp("exports")
    for model in models:
        counts = random_counts(1, model.contract.window_length, model.num_channels, sigma=500)
        export_c(model, make_golden(model, counts), root / model.name)
    return {model.name: root / model.name for model in models}


@pytest.fixture(scope="session")
def cases(models: list[IntModel], folders: dict[str, Path]) -> dict[str, Case]:
    """Model, export, counts and reference trace, by the model's name."""
    return {
        model.name: Case(model, folders[model.name], counts, run_reference(model, counts))
        for model in models
        for counts in [counts_for(model)]
    }
