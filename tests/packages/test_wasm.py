"""The WebAssembly package in Node.js: two models in one program, equal to the reference; what it refuses."""

from __future__ import annotations

import functools
import json
import shutil
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import firmware_export.packages.wasm as wasm
from edge_seq.backends.reference_int import run_reference
from edge_seq.pipeline.exports import render_c, render_packages, write_exports
from edge_seq.support.errors import ToolError
from tests.live.browser import browser
from tests.live.node import node
from tests.packages.conftest import Packaged, package_model
from tests.zoo import random_counts

# Runs streams of samples through models side by side: {name: counts [N, C]} in, {name: [index or null, logits]} out.
SIDE_BY_SIDE = """
import { readFileSync } from "node:fs";
const streams = JSON.parse(readFileSync(0, "utf8"));
const models = {};
for (const name of Object.keys(streams)) {
  models[name] = await (await import(`./packages/wasm/edge_seq_${name}/index.js`)).load();
}
const answers = Object.fromEntries(Object.keys(streams).map((name) => [name, []]));
for (let at = 0; at < Math.max(...Object.values(streams).map((one) => one.length)); at++) {
  for (const [name, samples] of Object.entries(streams)) {
    if (at < samples.length) {
      const answer = models[name].step(samples[at]);
      answers[name].push(answer && [answer.index, answer.label, [...answer.logits], answer.top]);
    }
  }
}
console.log(JSON.stringify(answers));
"""
REFUSED = """
import { readFileSync } from "node:fs";
import { load } from "./packages/wasm/edge_seq_gait/index.js";
const model = await load();
const said = [];
for (const sample of [[1], [1, 2, 3], [1, 2.5], [1, 40000], [NaN, 0]]) {
  try { model.step(sample); } catch (error) { said.push(`${error.name}: ${error.message}`); }
}
const bytes = readFileSync("packages/wasm/edge_seq_gait/gait.wasm");
bytes[bytes.lastIndexOf(WEIGHTS)] ^= 1;
try { await load(bytes); } catch (error) { said.push(error.message); }
try { await load(new URL("file:///nowhere/gait.wasm")); } catch (error) { said.push(error.code); }
console.log(JSON.stringify(said));
"""


@pytest.fixture(scope="module")
def folder(gait: Packaged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the package of a model."""
    pytest.importorskip("ziglang", reason='pip install "edge-seq[compiler]"')
    root = tmp_path_factory.mktemp("wasm")
    write_exports(package_model(gait.model, ["wasm"]).files, root)
    return root


def test_the_example_and_what_is_refused(folder: Path, gait: Packaged) -> None:
    package = folder / "packages" / "wasm" / "edge_seq_gait"
    assert node((package / "examples" / "replay.mjs").read_text().replace("../", f"{package.as_uri()}/"), folder) == (
        "\n".join(gait.replay) + "\n"
    )
    weights = gait.golden.counts[0, 0].astype("<i2").tobytes()
    said = json.loads(node(REFUSED.replace("WEIGHTS", f"Buffer.from({list(weights)})"), folder))
    assert said == [
        "RangeError: gait: a sample of 1 counts; expected 2",
        "RangeError: gait: a sample of 3 counts; expected 2",
        "RangeError: gait: count 2.5; expected integers from -32768 to 32767",
        "RangeError: gait: count 40000; expected integers from -32768 to 32767",
        "RangeError: gait: count NaN; expected integers from -32768 to 32767",
        "gait: the self-test fails with status 7; the module is damaged",
        "ENOENT",
    ]


def test_metadata(folder: Path) -> None:
    package = folder / "packages" / "wasm" / "edge_seq_gait"
    content = json.loads((package / "package.json").read_text())
    assert (content["name"], content["version"], content["type"]) == ("edge_seq_gait", "0.1.0", "module")
    for path in (content["types"], content["exports"]["."]["default"], *content["files"]):
        assert (package / path).exists()
    assert (package / "gait.wasm").read_bytes()[:4] == b"\0asm"


@pytest.mark.slow
def test_two_models_side_by_side_equal_the_reference(
    folder: Path, car: Packaged, gait: Packaged, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    write_exports(package_model(car.model, ["wasm"]).files, tmp_path)
    streams = {
        one.model.name: random_counts(1, 4_000, one.model.num_channels, seed=9, sigma=sigma)[0]
        for one, sigma in ((car, None), (gait, 600))
    }
    text = json.dumps({name: counts.tolist() for name, counts in streams.items()})
    found = json.loads(node(SIDE_BY_SIDE, tmp_path, text))
    for one in (car, gait):
        values = run_reference(one.model, streams[one.model.name][np.newaxis]).values
        decided = values["decision" if one.model.readout.decision else "label"][0, :, 0]
        unknown = one.model.num_classes
        assert len(found[one.model.name]) == 4_000
        for at, answer in enumerate(found[one.model.name]):
            if decided[at] < 0:
                assert answer is None
            elif decided[at] == unknown:
                assert answer[:2] == [-1, "unknown"]
            else:
                assert answer[:3] == [decided[at], one.model.labels[decided[at]], values["logits"][0, at].tolist()]
            assert answer is None or answer[3] == values["label"][0, at, 0]


PAGE = """<!doctype html><meta charset="utf-8"><pre id="out"></pre>
<script type="module">
const out = document.getElementById("out");
try {
  const { load } = await import("./packages/wasm/edge_seq_gait/index.js");
  const model = await load();
  out.textContent = [...model.replay()].map((answer) => answer.label).join("\\n") + "\\ndone";
} catch (error) {
  out.textContent = `${error}\\ndone`;
}
</script>
"""


@pytest.mark.slow
def test_in_a_browser(folder: Path, gait: Packaged, tmp_path: Path) -> None:
    (folder / "page.html").write_text(PAGE)
    handler = functools.partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, browser(tmp_path) as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.get(f"http://127.0.0.1:{server.server_port}/page.html")
        deadline = time.monotonic() + 60
        while not (text := page.find_element("id", "out").text).endswith("done") and time.monotonic() < deadline:
            time.sleep(0.2)
        server.shutdown()
    assert text.splitlines() == [*gait.replay[1:-1], "done"]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.mark.slow
def test_the_same_export_gives_the_same_module(folder: Path, gait: Packaged) -> None:
    again = package_model(gait.model, ["wasm"]).files
    assert {path: (folder / path).read_bytes() for path in again} == again


def test_without_a_compiler_it_says_what_to_install(gait: Packaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm, "find_compilers", lambda: ())
    with pytest.raises(ToolError, match=r"exporting gait as WebAssembly: no compiler .*edge-seq\[compiler\]"):
        render_packages(["wasm"], render_c(gait.model, gait.golden.counts))
