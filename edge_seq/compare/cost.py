"""Cost of a network: parameters by formula, flash, RAM and instructions by building and running it on a target.

The cost depends on the shape only: weights have a fixed size in flash, and the kernels take the same time for all data.
So a shape is measured once, with untrained weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from edge_seq.compare.points import Shape, Size
from edge_seq.compare.result import Cost, MeasuredCost, NoCost
from edge_seq.ir.contract import SensorContract
from edge_seq.ir.kind_names import CellName, Pooling
from edge_seq.ir.kinds import kind_named
from edge_seq.ir.model import Readout
from edge_seq.pipeline.choosing.untrained import measure_network
from edge_seq.support.errors import ConfigError, ToolError
from edge_seq.training.config import TrainingConfig
from firmware_export.measuring.measure import Measurement
from firmware_export.measuring.step_counts import StepCounts
from firmware_export.toolchain.target import MissingToolError, Target

MOST_UNITS = 256  # largest hidden size that is tried for a budget
STEPS_FOR_BUDGET = 8  # a step between the first and the last costs the same in a window of any length


def count_parameters(
    cell: CellName, hidden_size: int, *, input_size: int, num_classes: int, readout: Pooling = "last"
) -> int:
    """Count the parameters of one layer and the head, as :func:`edge_seq.ir.model.num_parameters` does.

    >>> count_parameters("lstm", 16, input_size=3, num_classes=4)
    1348
    """
    head = num_classes * (Readout(readout).parts(1) * hidden_size + 1)
    return kind_named(cell).parameters(input_size, hidden_size) + head


def count_macs(cell: CellName, hidden_size: int, *, input_size: int) -> int:
    """Count the multiply-accumulates of a time step, without the head."""
    return kind_named(cell).macs(input_size, hidden_size)


def most_units(cost: Callable[[int], int], budget: int, what: str) -> int:
    """Find the largest hidden size whose cost is within a budget. The cost must grow with the hidden size.

    Args:
        cost: function from the hidden size to the cost.
        budget: largest allowed cost.
        what: beginning of the error message, for example ``gru: 1,000 parameters``.

    Raises:
        ConfigError: one unit already exceeds the budget.

    >>> most_units(lambda units: 10 * units, 75, "example")
    7
    """
    if cost(1) > budget:
        raise ConfigError(f"{what}: one unit already needs {cost(1):,}; give a larger budget")
    low, high = 1, MOST_UNITS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(middle) <= budget else (low, middle - 1)
    return low


def measure_shape(
    shape: Shape, contract: SensorContract, labels: tuple[str, ...], base: TrainingConfig, target: Target
) -> Measurement:
    """Build a network of a shape for a target, and count its instructions.

    Raises:
        MissingToolError: a compiler or an emulator is missing.
        ToolError: the network does not compile or does not fit on the target.
    """
    config = TrainingConfig(
        cell=shape.cell, hidden_size=shape.hidden_size, pooling=shape.readout, label_every=base.label_every
    )
    return measure_network(config, dataclasses.replace(contract, window_length=shape.time_steps), labels, target)


def cost_of_shape(
    shape: Shape, contract: SensorContract, labels: tuple[str, ...], base: TrainingConfig, target: Target | None
) -> Cost:
    """Measure the cost of a shape."""
    features = contract.num_features
    return Cost(
        shape,
        parameters=count_parameters(
            shape.cell, shape.hidden_size, input_size=features, num_classes=len(labels), readout=shape.readout
        ),
        macs_per_step=count_macs(shape.cell, shape.hidden_size, input_size=features),
        target=None if target is None else target.name,
        found=_cost_on_target(shape, contract, labels, base, target),
    )


def _cost_on_target(
    shape: Shape, contract: SensorContract, labels: tuple[str, ...], base: TrainingConfig, target: Target | None
) -> MeasuredCost | NoCost:
    if target is None:
        return NoCost("skipped", "no target was asked for")
    try:
        found = measure_shape(shape, contract, labels, base, target)
    except MissingToolError as error:
        return NoCost("skipped", str(error))
    except ToolError as error:
        return NoCost("failed", str(error))
    if found.sizes is None or found.steps is None:
        return NoCost("skipped", "; ".join(found.notes))
    return MeasuredCost(
        detail=found.detail,
        code_bytes=found.sizes.code,
        table_bytes=found.sizes.tables,
        weight_bytes=found.sizes.weights,
        flash_bytes=found.sizes.flash,
        ram_bytes=found.sizes.ram,
        stack_bytes=found.stack_bytes,
        status="measured",
        unit=found.steps.unit,
        per_window=found.steps.window,
        per_step=_of_step(found.steps),
        latency_estimate=found.latency,
    )


def _of_step(steps: StepCounts) -> int:
    """Cost of a time step between the first and the last of a window, which does not depend on the window length.

    A window without such a step gives the cost of its last step.
    """
    classes = {one.name: one.maximum for one in steps.classes}
    return classes.get("between", classes["last"])


def units_of_size(
    cell: CellName,
    size: Size,
    contract: SensorContract,
    labels: tuple[str, ...],
    base: TrainingConfig,
    target: Target | None,
    *,
    readout: Pooling = "last",
) -> int:
    """Find the hidden size of a cell at a size of the comparison. A budget holds with this readout.

    Raises:
        ConfigError: one unit already exceeds the budget.
        ToolError: the size is a budget of instructions, and instructions cannot be counted.
    """
    match size.kind:
        case "units":
            return size.value
        case "parameters":
            return most_units(
                lambda units: count_parameters(
                    cell, units, input_size=contract.num_features, num_classes=len(labels), readout=readout
                ),
                size.value,
                f"{cell}: {size}",
            )
        case _:
            return _units_of_instructions(cell, size, contract, labels, base, target, readout)


def _units_of_instructions(
    cell: CellName,
    size: Size,
    contract: SensorContract,
    labels: tuple[str, ...],
    base: TrainingConfig,
    target: Target | None,
    readout: Pooling,
) -> int:
    known: dict[int, int] = {}

    def of_step(units: int) -> int:
        if units not in known:
            shape = Shape(cell, units, STEPS_FOR_BUDGET, readout)
            found = _cost_on_target(shape, contract, labels, base, target)
            if isinstance(found, NoCost):
                raise ToolError(
                    f"comparison: a budget of {size} needs a target to count on, but {cell} with {units} units was not "
                    f"measured ({found.reason}). Install what is missing, or give a budget of --parameters"
                )
            known[units] = found.per_step
        return known[units]

    return most_units(of_step, size.value, f"{cell}: {size} of a step")
