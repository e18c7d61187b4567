"""What a device says of its input and output, compared with what a model was made for."""

from __future__ import annotations

from edge_seq.device.client import Device, DeviceContract, expected_contract
from edge_seq.ir.contract import SensorContract

_SHOWN = 200  # characters of a value


def contract_differences(device: Device, contract: SensorContract, labels: tuple[str, ...] | None = None) -> list[str]:
    """What a device's sensor contract has otherwise than ``contract``: each field, with both values.

    Args:
        device: that said hello.
        contract: of the model.
        labels: of the model: these, and the stride, are compared too; None where only samples matter.
    """
    told, wanted = device.contract(), expected_contract(contract, labels or ())
    pairs: list[tuple[str, object, object]] = [
        ("sample_rate_hz", told.sample_rate_hz, wanted.sample_rate_hz),
        ("window_length", device.info.window_length, contract.window_length),
        ("preprocessing", told.preprocessing, wanted.preprocessing),
        ("channels", _names(told), _names(wanted)),
    ]
    if _names(told) == _names(wanted):
        for mine, theirs in zip(wanted.channels, told.channels, strict=True):
            for position, field in enumerate(("unit", "counts_per_unit", "full_scale"), start=1):
                pairs.append((f"{field} of {mine[0]}", theirs[position], mine[position]))
    if labels is not None:
        pairs += [
            ("window_stride", told.window_stride, wanted.window_stride),
            ("labels", list(told.labels), list(wanted.labels)),
        ]
    return [f"{field}: board {_short(theirs)}, model {_short(mine)}" for field, theirs, mine in pairs if theirs != mine]


def _names(contract: DeviceContract) -> list[str]:
    return [channel[0] for channel in contract.channels]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
