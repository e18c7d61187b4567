"""From labelled accelerometer recordings to recurrent-network firmware that is bit-exact everywhere.

Example:
    >>> import edge_seq as es
    >>> data = es.load("drives.toml")  # or es.windows(values, labels, groups, contract)
    >>> model = es.train(data, cell="gru", hidden_size=4, epochs=2)
    >>> chip = es.quantize(model, calibration=data)
    >>> folder = es.export_c(chip, "out")
    >>> ladder = es.verify(chip, data, targets=["cortex_m4"])  # shows itself as a table

Names are imported when they are first used, so ``import edge_seq`` alone loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_seq.api.checks import Check, check
    from edge_seq.api.data import Data, load, windows
    from edge_seq.api.evaluation import Evaluation, evaluate
    from edge_seq.api.exports import export_c, export_onnx, export_page
    from edge_seq.api.imports import from_keras, from_onnx, from_torch
    from edge_seq.api.models import ImportedModel, QuantizedModel, TrainedModel, quantize, train
    from edge_seq.api.prediction import Prediction
    from edge_seq.api.runs import Run, Stream, open_run
    from edge_seq.api.search import Search, search
    from edge_seq.api.verification import verify
    from edge_seq.ir.contract import Channel, Preprocessing, SensorContract
    from edge_seq.parity.ladder import Ladder
    from edge_seq.support.errors import EdgeSeqError
    from edge_seq.training.config import TrainingConfig

__all__ = [
    "Channel",
    "Check",
    "Data",
    "EdgeSeqError",
    "Evaluation",
    "ImportedModel",
    "Ladder",
    "Prediction",
    "Preprocessing",
    "QuantizedModel",
    "Run",
    "Search",
    "SensorContract",
    "Stream",
    "TrainedModel",
    "TrainingConfig",
    "check",
    "evaluate",
    "export_c",
    "export_onnx",
    "export_page",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "open_run",
    "quantize",
    "search",
    "train",
    "verify",
    "windows",
]

_MODULES = {
    "edge_seq.api.checks": ("Check", "check"),
    "edge_seq.api.data": ("Data", "load", "windows"),
    "edge_seq.api.exports": ("export_c", "export_onnx", "export_page"),
    "edge_seq.api.imports": ("from_keras", "from_onnx", "from_torch"),
    "edge_seq.api.evaluation": ("Evaluation", "evaluate"),
    "edge_seq.api.models": ("ImportedModel", "QuantizedModel", "TrainedModel", "quantize", "train"),
    "edge_seq.api.prediction": ("Prediction",),
    "edge_seq.api.runs": ("Run", "Stream", "open_run"),
    "edge_seq.api.search": ("Search", "search"),
    "edge_seq.api.verification": ("verify",),
    "edge_seq.ir.contract": ("Channel", "Preprocessing", "SensorContract"),
    "edge_seq.parity.ladder": ("Ladder",),
    "edge_seq.support.errors": ("EdgeSeqError",),
    "edge_seq.training.config": ("TrainingConfig",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'edge_seq' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
