"""A run folder to change: ``python -m tests.fuzz.corpus`` makes it again with the commands that a user types.

Only files that edge_seq reads are kept, and of the windows as few as are enough to be read.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

RUN = Path(__file__).with_name("corpus")
KEPT = (
    *("config.toml", "training.json", "quantization.json", "decision.json", "import.json", "comparison.json"),
    *(
        "metrics.test.json",
        "stream.test.json",
        "reports/verify.json",
        "reports/measure.json",
        "reports/robustness.test.json",
    ),
    *("model.float.safetensors", "model.validated.safetensors", "model.int.safetensors", "weights.torch.safetensors"),
    *(
        "data/source.toml",
        "data/hashes.json",
        "data/test.safetensors",
        "data/calibration.safetensors",
        "reports/stream.test.safetensors",
    ),
    *("checkpoint/checkpoint.safetensors", "data/classes.json"),
)


def make(folder: Path) -> None:
    """Make a run, a comparison and an import in a folder, and keep what can be read of them in :data:`RUN`."""
    from tests.cli.conftest import ok
    from tests.fuzz.targets import networks

    drives, run = folder / "d.csv", folder / "run"
    small = ("--cell", "gru", "--hidden-size", "2", "--epochs", "2")
    loose = ("--set", "quantization.min_agreement_rate=0.1", "--set", "quantization.max_macro_f1_loss=0.9")
    ok("simulate", "--out", drives, "--drives", "12", "--duration-s", "120", "--seed", "3")
    ok("train", "--data", folder / "d.toml", "--out", run, "--name", "small", *small, *loose)
    for command in (["quantize"], ["decide"], ["evaluate"], ["evaluate", "--stream"], ["robustness"], ["export"]):
        ok(*command, run)
    ok("verify", run)
    ok("measure", run, "--target", "cortex_m4")
    ok(
        *("compare", folder / "d.toml", "--out", folder / "comparison", "--cell", "rnn", "--cell", "gru"),
        *("--hidden-size", "2", "--seeds", "2", "--first-weights", "default", "--window-length", "16"),
        *("--set", "training.epochs=1"),
    )
    (folder / "x.onnx").write_bytes(networks(".onnx")[1])
    ok("import", folder / "x.onnx", "--data", folder / "d.toml", "--out", folder / "imported")
    ok("train", "--data", folder / "d.toml", "--out", folder / "normal", *small, "--one-class", "parked")
    shutil.rmtree(RUN, ignore_errors=True)
    places = (run, *(folder / other for other in ("comparison", "imported", "normal")))
    for name in KEPT:
        found = next(place / name for place in places if (place / name).is_file())
        (RUN / name).parent.mkdir(parents=True, exist_ok=True)
        content = found.read_bytes()
        if found.suffix in (".json", ".toml"):  # safetensors have no paths
            content = content.replace(str(folder).encode(), b"/recordings")
        (RUN / name).write_bytes(content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        make(Path(made))
