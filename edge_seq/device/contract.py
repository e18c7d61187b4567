"""Compares the sensor contract that a device reports with the contract of a model."""

from __future__ import annotations

from edge_seq.device.client import Device, DeviceContract, expected_contract
from edge_seq.ir.contract import SensorContract

_SHOWN = 200  # longest value in a message, characters


def contract_differences(device: Device, contract: SensorContract, labels: tuple[str, ...] | None = None) -> list[str]:
    """Describe each field in which a device's sensor contract differs from ``contract``, with both values.

    Args:
        device: an open device.
        contract: the model's sensor contract.
        labels: the model's class labels. If given, the labels and the window stride are compared too; pass None if
            only the samples matter.
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
