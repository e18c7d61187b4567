from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from edge_seq.ir.contract import (
    MAX_WINDOW_LENGTH,
    Channel,
    Normalisation,
    Preprocessing,
    SensorContract,
    contract_from_dict,
    contract_to_dict,
    to_counts,
    verify_contract,
)
from edge_seq.support.errors import ContractError

CONTRACT = SensorContract(
    sample_rate_hz=50.0,
    channels=(Channel("ax", "g", 8192.0, 4.0), Channel("gx", "deg/s", 10.0, 100.0)),
    window_length=128,
    window_stride=64,
    preprocessing=Preprocessing("remove_gravity", 5),
)
ax, gx = CONTRACT.channels


def scaled(*counts_per_unit: float) -> tuple[Channel, ...]:
    axes = zip(("ax", "ay", "az"), counts_per_unit, strict=True)
    return tuple(dataclasses.replace(ax, name=name, counts_per_unit=scale) for name, scale in axes)


def test_a_usable_contract_passes():
    verify_contract(CONTRACT)
    assert CONTRACT.num_channels == 2
    assert CONTRACT.channel_names == ("ax", "gx")


def test_the_count_limit_is_full_scale_in_counts_and_fits_int16():
    assert ax.count_limit == 32767  # 4 g * 8192 = 32768
    assert gx.count_limit == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate_hz": 0.0}, "sample_rate_hz is 0.0; give 0.001 to 1e\\+06 samples a second"),
        ({"sample_rate_hz": 9e-4}, "sample_rate_hz is 0.0009; give 0.001 to"),
        ({"sample_rate_hz": 5e-324}, "sample_rate_hz is 5e-324; give 0.001 to"),
        ({"sample_rate_hz": 1000001.0}, "sample_rate_hz is 1000001.0; give 0.001 to"),
        ({"sample_rate_hz": -50.0}, "sample_rate_hz is -50.0; give 0.001 to"),
        ({"sample_rate_hz": math.inf}, "sample_rate_hz is inf"),
        ({"sample_rate_hz": math.nan}, "sample_rate_hz is nan"),
        ({"channels": ()}, "0 channels; give 1 to 64"),
        ({"channels": tuple(dataclasses.replace(ax, name=f"c{i}") for i in range(65))}, "65 channels; give 1 to 64"),
        ({"channels": (ax, ax)}, "channel names .* repeat"),
        ({"channels": (dataclasses.replace(ax, name=""),)}, "a channel has an empty name"),
        (
            {"channels": (dataclasses.replace(ax, name="a\0x"),)},
            r"channel 'a\\x00x': holds U\+0000; .* Rename the column, or name the channel otherwise",
        ),
        (
            {"channels": (dataclasses.replace(ax, unit="furlong"),)},
            "channel ax: unit 'furlong' is unknown; give one of",
        ),
        ({"channels": (dataclasses.replace(ax, counts_per_unit=0.0),)}, "channel ax: counts_per_unit is 0.0"),
        ({"channels": (dataclasses.replace(ax, full_scale=-1.0),)}, "channel ax: full_scale is -1.0"),
        ({"channels": (dataclasses.replace(ax, full_scale=math.nan),)}, "channel ax: full_scale is nan"),
        ({"channels": (dataclasses.replace(ax, unit="counts"),)}, "counts_per_unit is 8192.0 where the unit is counts"),
        ({"channels": (dataclasses.replace(ax, counts_per_unit=0.01),)}, "is below one count"),
        ({"window_length": 0}, f"window_length is 0; give 1 to {MAX_WINDOW_LENGTH}"),
        ({"window_length": MAX_WINDOW_LENGTH + 1}, "window_length is"),
        ({"window_stride": 0}, "window_stride is 0"),
        ({"preprocessing": Preprocessing("smooth")}, "preprocessing step 'smooth' is unknown"),  # type: ignore[arg-type]
        ({"preprocessing": Preprocessing("none", 0)}, "gravity_shift is 0; give 1 to 12"),
        ({"preprocessing": Preprocessing("none", 13)}, "gravity_shift is 13"),
        ({"preprocessing": Preprocessing(companding=0)}, "companding is 0; give a whole number of bits, 1 to 14, or"),
        ({"preprocessing": Preprocessing(companding=15)}, "companding is 15"),
        ({"preprocessing": Preprocessing(companding=2.0)}, "companding is 2.0"),  # type: ignore[arg-type]
        ({"preprocessing": Preprocessing(companding=True)}, "companding is True"),
        ({"preprocessing": Preprocessing(magnitude=1)}, "magnitude is 1; give true or false"),  # type: ignore[arg-type]
        (
            {"preprocessing": Preprocessing(magnitude=True)},
            r"magnitude: the channels \['ax', 'gx'\] hold no x, y and z .*; name the axes so \(ax, ay, az\), or leave",
        ),
        (
            {"preprocessing": Preprocessing(magnitude=True), "channels": scaled(8192.0, 8192.0, 4096.0)},
            r"the channels \['ax', 'ay', 'az'\] have the counts_per_unit \[8192.0, 8192.0, 4096.0\]; give them one",
        ),
    ],
)
def test_each_field_out_of_range_is_refused_by_name(change, message):
    with pytest.raises(ContractError, match=f"sensor contract: .*{message}"):
        verify_contract(dataclasses.replace(CONTRACT, **change))


def test_counts_are_scaled_rounded_half_to_even_and_saturated_as_the_part_does():
    values = np.array([[0.0, 0.25], [1.0, 0.35], [-5.0, 200.0], [4.0, -100.1], [1e30, -1e30]])
    counts = to_counts(values, CONTRACT)
    assert counts.dtype == np.int16
    assert counts.tolist() == [[0, 2], [8192, 4], [-32767, 1000], [32767, -1000], [32767, -1000]]


def test_counts_keep_leading_axes():
    assert to_counts(np.zeros((3, 5, 2)), CONTRACT).shape == (3, 5, 2)


def test_a_contract_survives_json():
    text = json.dumps(contract_to_dict(CONTRACT))
    assert contract_from_dict(json.loads(text)) == CONTRACT


def test_a_companding_is_written_only_where_there_is_one():
    assert "companding" not in contract_to_dict(CONTRACT)["preprocessing"]
    companded = dataclasses.replace(CONTRACT, preprocessing=Preprocessing("difference", companding=5))
    stored = json.loads(json.dumps(contract_to_dict(companded)))
    assert stored["preprocessing"] == {"step": "difference", "gravity_shift": 6, "companding": 5}
    assert contract_from_dict(stored) == companded


def test_a_magnitude_is_written_only_where_there_is_one():
    plain = dataclasses.replace(CONTRACT, channels=scaled(8192.0, 8192.0, 8192.0))
    assert "magnitude" not in contract_to_dict(plain)["preprocessing"]
    assert (plain.num_features, plain.feature_names) == (3, ("ax", "ay", "az"))
    longer = dataclasses.replace(plain, preprocessing=Preprocessing("difference", magnitude=True))
    stored = json.loads(json.dumps(contract_to_dict(longer)))
    assert stored["preprocessing"] == {"step": "difference", "gravity_shift": 6, "magnitude": True}
    assert contract_from_dict(stored) == longer
    assert (longer.num_channels, longer.num_features) == (3, 4)


@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("companding", [None, 1, 14])
@pytest.mark.parametrize("step", ["none", "difference", "remove_gravity"])
def test_a_preprocessing_is_read_from_its_text(step, companding, magnitude):
    one = Preprocessing(step, 12 if step == "remove_gravity" else 6, companding, magnitude)
    assert Preprocessing.from_text(one.text) == one


@pytest.mark.parametrize(
    "text",
    ["difference, shift", "none, companding 5, more", "none, companding five", "none, companding 5, magnitude"],
)
def test_the_text_of_a_preprocessing_that_is_not_known_is_refused(text):
    with pytest.raises(ContractError, match=r"preprocessing .* is not known to this version of edge_seq"):
        Preprocessing.from_text(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("channels"), "cannot be read: 'channels'"),
        (lambda data: data.pop("window_length"), "cannot be read: .*window_length"),
        (lambda data: data.update(colour="red"), "cannot be read: .*colour"),
        (lambda data: data["channels"][0].pop("unit"), "cannot be read: .*unit"),
        (lambda data: data.update(preprocessing={"step": "none", "order": 2}), "cannot be read: .*order"),
        (lambda data: data.update(preprocessing=None), "cannot be read"),
        (lambda data: data.update(window_stride=0), "window_stride is 0"),
    ],
)
def test_a_stored_contract_that_was_changed_is_refused(change, message):
    data = json.loads(json.dumps(contract_to_dict(CONTRACT)))
    change(data)
    with pytest.raises(ContractError, match=message):
        contract_from_dict(data)


def test_normalisation_is_plain_data():
    assert Normalisation(mean=(1.0,), scale=(2.0,)) == Normalisation((1.0,), (2.0,))
