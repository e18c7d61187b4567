"""The record of an import, import.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_seq.frontends.chain import Format, InputAxes, OutputFunction
from edge_seq.parity.ladder import Rung
from edge_seq.scores.evaluation import SplitNote
from edge_seq.support.results import Result, written


@dataclass(frozen=True, kw_only=True)
class ImportSummary(Result):
    """Record of an import, as in import.json.

    Attributes:
        file: Name of the file that was imported.
        stored: Name of its copy in the run.
        sha256: SHA-256 of the file.
        format: Framework of the network.
        command: Command that imports it again.
        layers: What weights of PyTorch belong to, as given with --layers.
        mean, scale: [C], scaler before the network, in counts: it gets (counts - mean) / scale.
        output: What the network's last activation makes of the logits.
        class_order: [K], output of the network for each label.
        input_axes: Order of the axes of the network's input.
        layer_outputs: [L], name of the tensor with all states of each layer; empty if the file has none.
        notes: What was done to the network.
        warnings: What may be wrong with the import.
        windows: Number of windows by side of the split; empty without recordings.
        training_accuracy: Share of training windows that get their label; None without recordings.
        check: Comparison of the network with the float model; None without recordings.
        note: Kind of split, with a warning where it makes scores less certain.
        versions: Versions of Python and of edge_seq.
    """

    file: str
    stored: str
    sha256: str
    format: Format
    command: str
    layers: tuple[str, ...] = ()
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    output: OutputFunction
    class_order: tuple[int, ...]
    input_axes: InputAxes
    layer_outputs: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    windows: dict[str, int]
    training_accuracy: float | None
    check: Rung | None
    note: SplitNote = field(metadata=written(inline=True))
    versions: dict[str, str]
