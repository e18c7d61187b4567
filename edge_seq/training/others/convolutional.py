"""A convolutional network beside the recurrent ones, trained by the same loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.ir.contract import SensorContract
from edge_seq.scores.metrics import softmax
from edge_seq.training import loop
from edge_seq.training.config import TrainingConfig
from edge_seq.training.features import check_windows
from edge_seq.training.fit import Progress
from edge_seq.training.modules import ConvolutionalBaseline


def convolutional_baseline(
    train: Windows,
    validation: Windows | None,
    test: Windows,
    contract: SensorContract,
    num_classes: int,
    config: TrainingConfig,
    *,
    checkpoint_dir: Path | None = None,
    progress: Progress | None = None,
) -> tuple[loop.TrainingResult, NDArray[np.float64]]:
    """Train :class:`edge_seq.training.modules.ConvolutionalBaseline` with the same loop and options, and predict.

    The options ``cell``, ``hidden_size``, ``num_layers``, ``pooling`` and ``initialisation`` do not apply. The loss is
    always that of whole windows.

    Returns:
        training result, and probabilities of the test windows, float64 [B, K].

    Raises:
        DataError, ContractError, ConfigError, ModelError: the same cases as :func:`edge_seq.training.loop.train`.
            ConfigError also if windows have fewer than 5 samples.
    """
    check_windows(test, contract, num_classes, role="test")

    def build() -> ConvolutionalBaseline:
        return ConvolutionalBaseline(
            window_length=contract.window_length,
            input_size=contract.num_features,
            num_classes=num_classes,
            dropout=config.dropout,
        )

    result = loop.train(
        train,
        validation,
        contract,
        num_classes,
        config.model_copy(update={"label_every": "window"}),
        build=build,
        checkpoint_dir=checkpoint_dir,
        progress=progress,
    )
    module = build()
    loop.load_weights(module, result)
    return result, softmax(loop.predict(result, test.counts, module=module))
