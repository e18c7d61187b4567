"""C of forests and of boosted trees, from the arrays of scikit-learn's trees: nested comparisons of 16-bit integers.

The statistics are integers, so ``x <= t`` is ``x < floor(t) + 1``.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAF = -1  # scikit-learn's child of a leaf
BOOSTING_BITS = 10  # fraction bits of the scores of boosted trees


def _nested(tree: Any, leaf: Callable[[int], str], node: int = 0) -> str:
    """Comparisons from a node on, and what the leaves say."""
    if tree.children_left[node] == _LEAF:
        return leaf(node)
    threshold = int(np.floor(tree.threshold[node])) + 1
    left = _nested(tree, leaf, tree.children_left[node])
    right = _nested(tree, leaf, tree.children_right[node])
    return f"if (x[{tree.feature[node]}] < {threshold}) {{ {left} }} else {{ {right} }}"


def forest_program(forest: Any) -> str:
    """C of ``classify(statistics)`` for a random forest, each tree with one vote."""
    functions = []
    for index, one in enumerate(forest.estimators_):
        tree = one.tree_
        body = _nested(tree, lambda node, tree=tree: f"return {int(tree.value[node, 0].argmax())};")  # type: ignore[misc]
        functions.append(f"static inline int32_t tree{index}(const int16_t *x)\n{{\n    {body}\n}}\n")
    calls = "\n".join(f"    votes[tree{index}(x)]++;" for index in range(len(forest.estimators_)))
    return "".join(functions) + _classifier("uint8_t votes", calls, forest)


def _classifier(array: str, calls: str, model: Any) -> str:
    name = array.split()[1]
    classes = ", ".join(str(int(one)) for one in model.classes_)
    return f"""
int32_t classify(const int16_t *x)
{{
    static const uint8_t classes[] = {{{classes}}};
    {array}[{len(model.classes_)}] = {{0}};
    unsigned k, best = 0;
{calls}
    for (k = 1; k < {len(model.classes_)}u; k++) {{
        if ({name}[k] > {name}[best]) best = k;
    }}
    return classes[best];
}}
"""


def boosted_scores(model: Any, statistics: NDArray[np.int16]) -> NDArray[np.int64]:
    """Integer scores of gradient boosting, int64 [B, K]; what the C computes."""
    scores = np.tile(_prior(model), (len(statistics), 1))
    for stage in model.estimators_:
        for k, one in enumerate(stage):
            leaves = one.tree_.apply(statistics.astype(np.float32))
            scores[:, k] += _leaf_values(model, one.tree_)[leaves]
    return scores


def _leaf_values(model: Any, tree: Any) -> NDArray[np.int64]:
    return np.rint(model.learning_rate * tree.value[:, 0, 0] * 2**BOOSTING_BITS).astype(np.int64)


def _prior(model: Any) -> NDArray[np.int64]:
    return np.rint(np.log(model.init_.class_prior_) * 2**BOOSTING_BITS).astype(np.int64)


def boosting_program(model: Any) -> str:
    """C of ``classify(statistics)`` for gradient boosting, with scores of 10 fraction bits."""
    functions, calls = [], []
    for k, prior in enumerate(_prior(model)):
        calls.append(f"    scores[{k}] = {int(prior)};")
    for index, stage in enumerate(model.estimators_):
        for k, one in enumerate(stage):
            values = _leaf_values(model, one.tree_)
            body = _nested(one.tree_, lambda node, values=values: f"return {int(values[node])};")  # type: ignore[misc]
            functions.append(f"static inline int32_t tree{index}_{k}(const int16_t *x)\n{{\n    {body}\n}}\n")
            calls.append(f"    scores[{k}] += tree{index}_{k}(x);")
    return "".join(functions) + _classifier("int32_t scores", "\n".join(calls), model)


def has_emlearn() -> bool:
    """True if emlearn is installed."""
    return importlib.util.find_spec("emlearn") is not None


def emlearn_program(forest: Any, method: str) -> tuple[str, str]:
    """C of ``classify(statistics)`` by emlearn, and the folder of its headers.

    emlearn cuts thresholds to whole numbers, which moves a threshold of 12.5 below 12. They are made whole before, so
    that the integer trees stay those that were trained.

    Args:
        forest: random forest of scikit-learn.
        method: ``inline``, nested comparisons, or ``loadable``, a table of nodes.
    """
    import emlearn

    whole = copy.deepcopy(forest)
    for one in whole.estimators_:
        one.tree_.threshold[:] = np.floor(one.tree_.threshold) + 1
    text: str = emlearn.convert(whole, method=method, dtype="int16_t").save(name="rival", include_proba=False)
    classes = ", ".join(str(int(one)) for one in forest.classes_)
    call = f"rival_predict(x, {forest.n_features_in_})"
    wrapper = (
        "\nint32_t classify(const int16_t *x)\n{\n"
        f"    static const uint8_t classes[] = {{{classes}}};\n    return classes[{call}];\n}}\n"
    )
    return text + wrapper, str(emlearn.includedir)
