"""The page of a model: it reads files as `edge-seq run` does, and in a browser gives the same labels."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import firmware_export.packages.wasm as wasm
from edge_seq.backends.reference_int import run_reference
from edge_seq.data.readers.for_model import other_recordings
from edge_seq.data.resample import resample
from edge_seq.data.source import DataSource, parse_source
from edge_seq.ir.contract import Channel
from edge_seq.ir.model import IntModel
from edge_seq.live import monitor_web, web_page
from edge_seq.live.csv_stream import read_samples
from edge_seq.live.model_page import model_page
from edge_seq.pipeline.exports import render_page
from edge_seq.support.errors import EdgeSeqError
from tests.cli.html_pages import Tags
from tests.live.browser import browser
from tests.live.model_pages import decisions_of, open_page
from tests.live.node import node
from tests.zoo import DISTANCES, awkward_specs, quantized_model, random_counts, spec

WEB = Path(web_page.__file__).with_name("web")
READ = f"""
import {{ readFileSync }} from "node:fs";
import {{ readText, Refused }} from "{(WEB / "reading.js").as_uri()}";
const results = JSON.parse(readFileSync(0, "utf8")).map(([text, told]) => {{
  try {{
    const {{recordings, taken, warnings}} = readText(text, told);
    return {{counts: recordings.map((one) => [one.name, [...one.counts]]), taken, warnings}};
  }} catch (error) {{
    if (!(error instanceof Refused)) throw error;
    return {{refused: error.message}};
  }}
}});
console.log(JSON.stringify(results));
"""


def walking_model() -> IntModel:
    """A small model of two channels in different units at 50 Hz."""
    model = quantized_model(spec("gru", 3, channels=2, window_length=4, label_every="sample"), name="walk")
    channels = (Channel("ax", "m/s^2", 835.3515216715189, 39.2266), Channel("gz", "deg/s", 16.4, 1998.0))
    return replace(model, contract=replace(model.contract, sample_rate_hz=50.0, channels=channels))


def walking_source(**changes: Any) -> DataSource:
    """Recordings of the model with other names and units, by a column."""
    table = {
        "name": "walks", "path": ".", "sample_rate_hz": 50, "window_length": 4, "window_stride": 4,
        "time_column": "ms", "time_unit": "ms", "recording_column": "walk",
        "channels": [
            {"name": "ax", "unit": "m/s^2", "counts_per_unit": 835.3515216715189, "full_scale": 39.2266,
             "column": "acc (g)"},
            {"name": "gz", "unit": "deg/s", "counts_per_unit": 16.4, "full_scale": 1998, "column": "turn",
             "column_unit": "rad/s"},
        ],
    }  # fmt: skip
    return parse_source({**table, **changes}, where="a test")


def told_by(page: str) -> Any:
    return json.loads(page.partition('id="model">')[2].partition("</script>")[0])


def page_of(source: DataSource | None = None) -> str:
    return model_page(walking_model(), script="export const name = 1;\n", wasm=b"\0asm", source=source)


def read(texts: Sequence[str], tmp_path: Path, source: DataSource | None = None) -> list[Any]:
    told = told_by(page_of(source))
    found: list[Any] = json.loads(node(READ, tmp_path, json.dumps([[text, told] for text in texts])))
    return found


def rows(header: str, values: NDArray[np.float64], *, start: float = 0.0, period: float = 0.02) -> str:
    lines = [",".join([f"{start + period * at:.6g}", *map(repr, row)]) for at, row in enumerate(values.tolist())]
    return "\n".join([header, *lines]) + "\n"


def some_values(count: int = 100) -> NDArray[np.float64]:
    """Values beyond full scale, and values that lie between two counts."""
    values = np.random.default_rng(5).normal(0, [6, 300], (100, 2))
    values[33] = [45.0, -3000.0]
    values[5:20, 1] = np.arange(-7, 8) / 32.8
    return values[:count]


def test_files_with_the_names_of_the_channels(tmp_path: Path) -> None:
    contract, values = walking_model().contract, some_values()
    plain = rows("t,ax,gz", values)
    texts = [
        plain,
        plain.replace("\n", "\r\n"),
        plain.replace(",", ";"),
        rows('" t ",gz,"note, quoted ""so""",ax', np.stack([values[:, 1], values[:, 0], values[:, 0]], axis=1)),
        "\n".join(line.partition(",")[2] for line in plain.splitlines()),
    ]
    samples = read_samples([plain.splitlines()], contract, raw_counts=False, name="x")
    expected = [int(count) for block in samples for count in block.ravel()]
    found = read(texts, tmp_path)
    assert [one["counts"] for one in found] == [[["the file", expected]]] * len(texts)
    assert found[0]["taken"] == ["ax: in m/s²", "gz: in deg/s", "t: time in s", "50.00 Hz found, 50 Hz expected"]
    assert found[3]["taken"][3] == 'not used: note, quoted "so"'
    assert found[4]["taken"][2] == "no column of times: the rate was not checked"


def test_files_that_the_run_was_trained_on(tmp_path: Path) -> None:
    """Names, units, times and recordings as the data source says; recordings in the order of the file."""
    source = walking_source()
    values = some_values() * [1 / 9.80665, np.pi / 180]
    parts = [(name, values[at : at + 30], start) for name, at, start in (("b", 0, 0.0), ("a", 40, 7000.0))]
    text = "walk,ms,acc (g),turn\n" + "".join(
        "".join(f"{name},{line}\n" for line in rows("", part, start=start, period=20).splitlines()[1:])
        for name, part, start in [*parts, ("short", values[:3], 0.0)]
    )
    (tmp_path / "walks.csv").write_text(text)
    python = other_recordings(
        tmp_path / "walks.csv", source, tmp_path / "source.toml", walking_model().contract, labels=None
    )
    (found,) = read([text], tmp_path, source)
    assert found["counts"] == [[one.name, np.asarray(one.counts).ravel().tolist()] for one in python]
    assert [name for name, _ in found["counts"]] == ["b", "a"]
    assert found["taken"][:2] == [
        "acc (g): channel ax, g converted to m/s², times 9.80665",
        "turn: channel gz, rad/s converted to deg/s, times 57.29578",
    ]
    assert found["taken"][2:4] == ["ms: time in ms", "walk: name of the recording"]
    assert found["warnings"] == ["short has 3 samples, less than a window; it is left out"]


def test_gaps_cut_where_the_data_source_says_so(tmp_path: Path) -> None:
    values = some_values(20)
    text = rows("ms,acc (g),turn", values * [0.1, 0.01], period=20)
    lines = text.splitlines()
    text = "\n".join([*lines[:9], *lines[13:]])
    cut, refused = (read([text], tmp_path, walking_source(on_gap=how))[0] for how in ("split", "error"))
    assert [(name, len(counts)) for name, counts in cut["counts"]] == [("the file#1", 16), ("the file#2", 16)]
    assert refused["refused"].startswith("a gap of 0.1000 s after t = 0.140000 s; at most 0.04 s may pass")


REFUSED = {
    "t,ax\n0,1\n": 'the first line is "t,ax"; it must name each of these columns once: ax, gz. Rename',
    "t,ax,ax,gz\n0,1,2,3\n": "it must name each of these columns once: ax, gz",
    "": "the file is empty",
    "t,ax,gz\n": "the file has a header and no rows",
    "t,ax,gz\n0,1\n": 'line 2: "" in column gz is no number',
    't,ax,gz\n0,1,2\n0.02,"1,5",2\n': 'line 3: "1,5" in column ax is no number; correct or drop the row',
    "t,ax,gz\n0,nan,2\n": '"nan" in column ax is no number',
    "t,ax,gz\n0,1e999,2\n": '"1e999" in column ax is no number',
    "t,ax,gz\n0,0x10,2\n": '"0x10" in column ax is no number',
    "t,ax,gz\n0,1,2\n0.02,1,2\n0.02,1,2\n": "line 4: 0.02 s is not later than the row before, 0.02 s",
    "t,ax,gz\n0,1,2\n0.01,1,2\n0.02,1,2\n": "sampled at 100.0 Hz, the sensor contract says 50 Hz with a tolerance of 5",
    "t,ax,gz\n0,1,2\n0.02,1,2\n0.04,1,2\n1,1,2\n": "a gap of 0.9600 s after t = 0.0400000 s",
    "ax,gz\n1,2\n2,2500\n": "50.0 % of channel gz lies beyond full scale (largest 2500, full scale 1998 deg/s)",
    'ax,gz\n1,"2\n': 'line 2: a quoted text has no end; close it with "',
}


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    contract = walking_model().contract
    for (text, message), found in zip(REFUSED.items(), read(list(REFUSED), tmp_path), strict=True):
        assert message in found["refused"]
        if text == "t,ax,gz\n" or text.endswith('"2\n'):  # which give no samples there, or end with the file
            continue
        with pytest.raises(EdgeSeqError):
            list(read_samples([text.splitlines()], contract, raw_counts=False, name="x"))
    text = "walk,ms,acc (g),turn\na,0,1,1\nb,0,1,1\na,20,1,1\n"
    assert "line 4: recording a goes on after another" in read([text], tmp_path, walking_source())[0]["refused"]
    text = "walk,ms,acc (g),turn\na,0,1,1\n,20,1,1\n"
    refused = "line 3: no value in column walk, which names the recording"
    assert read([text], tmp_path, walking_source()) == [{"refused": refused}]
    text = "walk,ms,acc (g),turn\na,0,1,1\n"
    assert read([text], tmp_path, walking_source()) == [{"refused": "no recording has a window of 4 samples"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "npz"}, {"decimal": ","}, {"delimiter": " "}, {"resample": "linear"}, {"column_names": ["a"]},
        {"time_column": None}, {"time_unit": "datetime"}, {"skip_rows": 2}, {"index_column": "n", "time_column": None},
    ],
)  # fmt: skip
def test_other_data_sources_leave_the_names_of_the_channels(changes: dict[str, Any]) -> None:
    layouts = told_by(page_of(walking_source(**changes)))["layouts"]
    assert [[one["column"] for one in layout["channels"]] for layout in layouts] == [["ax", "gz"]]


SENSOR = f"""
import {{ readFileSync }} from "node:fs";
import {{ axesOf, Resampler, valuesOf }} from "{(WEB / "sensor.js").as_uri()}";
import {{ countOf, typicalPeriod }} from "{(WEB / "reading.js").as_uri()}";
const {{streams, channels, events, halves}} = JSON.parse(readFileSync(0, "utf8"));
const resampled = streams.map(({{times, values, rate}}) => {{
  const resampler = new Resampler(rate, typicalPeriod);
  const made = times.map((time, at) => resampler.push(time, values[at]));
  return {{rows: made.filter((one) => one !== null).flat(), gaps: made.filter((one) => one === null).length,
    filters: resampler.filters, delay: resampler.delay}};
}});
const axes = axesOf(channels);
const values = events.map((event) => [valuesOf(event, channels, axes, false), valuesOf(event, channels, axes, true)]);
console.log(JSON.stringify({{resampled, axes, values, halves: halves.map((value) => countOf(value, channels[0]))}}));
"""


def stream(rate: float, count: int, *, jitter: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(1)
    times = 5 + np.arange(count) / rate + rng.uniform(-jitter, jitter, count) / rate
    return times, np.stack([np.sin(3 * times), rng.normal(0, 1, count)], axis=1)


def test_the_sensor_of_a_phone(tmp_path: Path) -> None:
    """Resampled as edge_seq/data/resample.py does, with the axes and units of the channels."""
    cases = [(50.0, 50.0, 0.2), (48.0, 50.0, 0.0), (60.0, 50.0, 0.0), (100.0, 25.0, 0.1)]
    streams = [(*stream(found, 600, jitter=jitter), rate) for found, rate, jitter in cases]
    silent = stream(50, 200)
    silent[0][100:] += 3
    channels = [
        {"name": name, "unit": unit, "counts_per_unit": 2.0, "count_limit": 30000}
        for name, unit in (("ax", "g"), ("acc_y", "m/s^2"), ("z_acc", "mg"), ("gz", "rad/s"), ("gyro x", "deg/s"))
    ]
    event = {
        "accelerationIncludingGravity": {"x": 1.0, "y": 2.0, "z": 9.80665},
        "rotationRate": {"alpha": 7.0, "beta": 8.0, "gamma": 180.0},
    }
    given = {
        "streams": [
            {"times": t.tolist(), "values": v.tolist(), "rate": rate} for t, v, rate in [*streams, (*silent, 50)]
        ],
        "channels": channels,
        "events": [event, {**event, "rotationRate": None}],
        "halves": [0.25, 0.75, -0.25, -0.75, 1.25, 1e9, -1e9],
    }
    found = json.loads(node(SENSOR, tmp_path, json.dumps(given)))
    for (times, values, rate), (phone_hz, _, _), one in zip(streams, cases, found["resampled"], strict=False):
        method = "lowpass" if phone_hz > rate * 1.05 else "linear"
        codes = np.zeros(len(times), dtype=np.int64)
        # The page measures the rate in the first second; jitter moves it, and with it the noise of the second channel.
        expected, _ = resample(times, values, codes, sample_rate_hz=rate, method=method, name="phone")
        made = np.array(one["rows"])
        assert one["filters"] == (method == "lowpass")
        assert len(expected) - len(made) == pytest.approx(one["delay"] * rate, abs=2)
        worst = np.abs(made - expected[: len(made)]).max(axis=0)
        assert (worst < (1e-9 if phone_hz < 100 else [0.01, 1])).all(), (phone_hz, rate)
    assert found["resampled"][-1]["gaps"] == 1
    assert found["axes"] == ["x", "y", "z", "z", "x"]
    assert found["values"][1] == [None, None], "a phone without rotation"
    straight, turned = found["values"][0]
    assert straight == pytest.approx([1 / 9.80665, 2.0, 1000.0, np.pi, 7.0])
    assert turned == pytest.approx([-1 / 9.80665, -2.0, -1000.0, np.pi, 7.0])
    assert found["halves"] == [0, 2, 0, -2, 2, 30000, -30000], "half to even, as numpy"


def test_the_page_is_one_file_that_runs_only_its_own_script() -> None:
    model = replace(walking_model(), name="walk", labels=("<b>", "</script>", "c", "d"))
    script = 'export const labels = ["</script><script>alert(1)</script>", "<!--<script>"];\n'
    page = model_page(model, script=script, wasm=b"\0asm", source=walking_source())
    assert page == model_page(model, script=script, wasm=b"\0asm", source=walking_source())
    assert "<!--" not in page
    tags = Tags(page)
    assert tags.addresses == ["data:,"]
    for kind, opened in (("script", '<script type="module">'), ("style", "<style>")):
        content = page.partition(opened)[2].partition(f"</{kind}>")[0]
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page
    assert not re.search(r"^(import|export) ", page, re.MULTILINE)
    assert "https://" not in page.replace("an https:// address", "")
    assert (
        "acc (g) in g, turn in rad/s, ms in ms; or ax in m/s², gz in deg/s, t or time in s if there are times" in page
    )


def test_the_scripts_of_pages_are_one_module_each(tmp_path: Path) -> None:
    """No name stands twice at their top level; a browser would run nothing then."""
    index = "export const labels = [], contract = {}, name = 1;\nexport async function load() {}\n"
    pages = (model_page(walking_model(), script=index, wasm=b"\0asm"), monitor_web.page().html)
    for number, page in enumerate(pages):
        script = page.partition('<script type="module">')[2].partition("</script>")[0]
        (tmp_path / f"{number}.mjs").write_text(script)
    check = "import { spawnSync } from 'node:child_process';\nfor (const one of ['0.mjs', '1.mjs']) "
    check += "console.log(spawnSync(process.execPath, ['--check', one], { encoding: 'utf8' }).stderr);"
    assert node(check, tmp_path).split() == []


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm, "find_compilers", lambda: ())
    with pytest.raises(
        EdgeSeqError, match=r'no compiler for it on this machine; .* pip install "edge-seq\[compiler\]"'
    ):
        render_page(walking_model(), random_counts(1, 4, 2))


@pytest.mark.slow
def test_every_kind_of_model_in_a_browser(tmp_path: Path) -> None:
    """Decision stages with a distance, convolutions, pools, dense layers, every cell, labels each sample or window."""
    pytest.importorskip("ziglang", reason='pip install "edge-seq[compiler]"')
    shapes = {**{f"distance_{cell}": shape for cell, shape in DISTANCES.items()}, "deep": awkward_specs("lstm")["deep"]}
    with browser(tmp_path) as page:
        for name, shape in shapes.items():
            model: IntModel = quantized_model(shape, name=name, amplitude=3.0)
            model = replace(model, labels=("</script><b>", "<!--<script>", *model.labels[2:]))
            contract, windows = model.contract, random_counts(1, 400, model.num_channels, seed=3, sigma=400)
            (tmp_path / f"{name}.html").write_text(render_page(model, random_counts(2, 20, model.num_channels)))
            limits = np.array([channel.count_limit for channel in contract.channels])
            counts = np.clip(windows[0], -limits, limits).astype(np.int16)
            values = counts / np.array([channel.counts_per_unit for channel in contract.channels])
            text = ",".join(contract.channel_names)
            (tmp_path / "x.csv").write_text("\n".join([text, *(",".join(map(repr, row)) for row in values.tolist())]))
            open_page(page, tmp_path / f"{name}.html")
            page.find_element("id", "file").send_keys(str(tmp_path / "x.csv"))
            found = decisions_of(page, tmp_path)
            traced = run_reference(model, counts[np.newaxis]).values
            labels, names = traced["label"][0, :, 0], (*model.labels, "unknown")
            decided = traced["decision" if model.readout.decision else "label"][0, :, 0]
            due = np.flatnonzero(labels >= 0)
            assert [int(one["sample"]) for one in found] == due.tolist()
            assert [one["label"] for one in found] == [names[labels[at]] for at in due]
            assert [one["decision"] for one in found] == [names[decided[at]] for at in due]
        assert page.get_log("browser") == []
