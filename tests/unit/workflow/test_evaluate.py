"""When kept baselines are taken again."""

from __future__ import annotations

import pytest

from edge_seq.workflow.evaluate import BASELINES_BY, BASELINES_OF, _same_baselines, sklearn_version

KEPT = {BASELINES_OF: "key", BASELINES_BY: "1.4.0"}


@pytest.mark.parametrize(
    ("key", "installed", "taken"),
    [("key", "1.4.0", True), ("key", "1.5.0", False), ("other", "1.4.0", False), ("key", None, True)],
)
def test_a_forest_of_another_scikit_learn_is_grown_anew(key: str, installed: str | None, taken: bool) -> None:
    assert _same_baselines(KEPT, key, installed) is taken


def test_the_version_is_that_of_the_package() -> None:
    sklearn = pytest.importorskip("sklearn")
    assert sklearn_version() == sklearn.__version__
