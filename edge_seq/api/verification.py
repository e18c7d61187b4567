"""The ladder of a model, from Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_seq.api.boundary import in_python
from edge_seq.api.data import Data
from edge_seq.api.models import QuantizedModel, require_quantized
from edge_seq.api.prediction import check_fits
from edge_seq.parity.inputs import EXTREME_WINDOWS, MAX_WINDOWS, choose_inputs
from edge_seq.parity.ladder import Ladder
from edge_seq.parity.verification import FloatSide, TorchWeights, verify_models
from edge_seq.pipeline.exports import render_exports
from edge_seq.support.display import progress
from edge_seq.support.errors import ConfigError
from firmware_export.toolchain.target import choose_targets


@in_python
def verify(
    model: QuantizedModel,
    data: Data,
    *,
    targets: Sequence[str] = (),
    side: str = "test",
    max_windows: int = MAX_WINDOWS,
    extreme_windows: int = EXTREME_WINDOWS,
    timeout_s: float | None = None,
    quiet: bool = False,
) -> Ladder:
    """Compare torch, reference, ONNX Runtime, C on this machine and C on emulated chips: every step, every state.

    The rung of torch is left out if the float model did not come from :func:`edge_seq.train`.

    Args:
        model: Integer model from :func:`edge_seq.quantize`.
        data: Data whose windows are compared.
        targets: Names of emulated targets, for example ``cortex_m4``, or ``all``, or paths of TOML files. One whose
            compiler or emulator is missing is skipped, and its rung says what installs it.
        side: Side of the split.
        max_windows: Largest number of its windows.
        extreme_windows: Number of windows of random and extreme counts that the exact rungs see besides.
        timeout_s: Seconds that the first window may take in an emulator; firmware that takes longer hangs. None takes
            30, or ``timeout_s`` of the target's file.
        quiet: Show no progress bar.

    Returns:
        The ladder. ``holds`` is True if no rung failed. It shows itself as a table.

    Raises:
        ConfigError: there is no such target, or a number of windows or seconds is out of range.
        ModelError: the model is not quantized.
        ContractError: the data have another sensor contract than the model.
        DataError: the data have other labels than the model, or the side has no windows.
        ToolError: there is no C compiler.

    Example:
        >>> import edge_seq as es
        >>> ladder = es.verify(chip, data, targets=["cortex_m4"], max_windows=20, extreme_windows=4)
        >>> len(ladder.rungs), ladder.rungs[-1].name
        (12, 'integer reference = C on cortex_m4')
    """
    require_quantized(model, doing="verifying")
    if isinstance(targets, str):
        raise ConfigError(f"verifying {model.model.name}: targets is the text {targets!r}; give a list, [{targets!r}]")
    if max_windows < 1 or extreme_windows < 0:
        raise ConfigError(
            f"verifying {model.model.name}: max_windows is {max_windows}, extreme_windows {extreme_windows}; give at "
            "least 1 and at least 0"
        )
    if timeout_s is not None and not 0 < timeout_s < math.inf:
        raise ConfigError(f"verifying {model.model.name}: timeout_s is {timeout_s}; give a positive number of seconds")
    chosen = choose_targets(list(targets), timeout_s=timeout_s)
    check_fits(model.model, data, doing=f"verifying {model.model.name}")
    windows = data.side(side)
    inputs = choose_inputs(windows, model.model, max_windows=max_windows, extreme_windows=extreme_windows)
    rendered = render_exports(model.model, model.float_model, model.golden)
    trained = model.trained
    with progress("verifying", 1, quiet=quiet) as update:
        return verify_models(
            model.model,
            inputs,
            rendered,
            float_side=FloatSide(
                model.float_model,
                None if trained is None else TorchWeights(lambda: trained.weights, trained.result.config),
                model.imported,
            ),
            targets=chosen,
            progress=update,
        )
