"""One operator of an ONNX graph, as the table of operators gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge_seq.frontends.flow import Flow
from edge_seq.support.errors import ModelError

Value = Flow | NDArray[Any] | None
EVALUATION = "export the model in evaluation mode"


@dataclass
class Node:
    """One operator of the graph, with its inputs' values."""

    what: str
    kind: str
    name: str
    inputs: list[Value]
    attributes: Mapping[str, Any]
    opset: int
    outputs: Sequence[str]

    @property
    def flow(self) -> Flow:
        """The first input, which depends on the network's input."""
        return self.flow_at(0)

    def flow_at(self, index: int) -> Flow:
        """An input that depends on the network's input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, Flow):
            raise self.refuse(f"input {index} is a constant", "export the model again")
        return value

    def constant(self, index: int, what: str) -> NDArray[Any] | None:
        """An input that must not depend on the network's input; None if it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Flow):
            raise self.refuse(f"its {what} depends on the input", "train without that")
        return value

    def needed(self, index: int, what: str) -> NDArray[Any]:
        """A constant input that must be there."""
        value = self.constant(index, what)
        if value is None:
            raise self.refuse(f"its {what} is missing", "export the model again")
        return value

    def refuse(self, found: str, remedy: str) -> ModelError:
        """The error for what cannot be represented."""
        return ModelError(f"importing {self.what}: {self.kind} {self.name}: {found}, which is not supported; {remedy}")
