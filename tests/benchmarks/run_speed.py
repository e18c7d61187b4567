"""How fast ``edge-seq run`` is on this machine: whole files from end to end, and the load of a stream of 1 kHz.

    python -m tests.benchmarks.run_speed --out docs/results/run_speed.md

Each row is the command in a process of its own, with its start, and its output goes to a file. The model is the bench's
car LSTM (3 channels, 32 units, windows of 50 samples) at 1 kHz; with "each sample" it gives a label after every sample.
Time is that of the process on a core, not of the clock on the wall, as other programs may run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from edge_seq.ir.model import FloatModel, IntModel, model_hash
from edge_seq.ir.serialize import save_model
from edge_seq.live.csv_stream import read_samples
from edge_seq.live.run import decide_blocks
from edge_seq.pipeline.exports import render_exports, write_exports
from edge_seq.quant.calibrate import calibrate
from edge_seq.quant.quantize import quantize
from edge_seq.support.files import json_text
from edge_seq.workflow.export import open_engine
from edge_seq.workflow.folder import RunFolder, load_run_int
from firmware_export.measuring.reference_models import SHAPES, reference_counts, reference_float_model
from tests.live.socket_board import socket_board

COMMAND = "python -m tests.benchmarks.run_speed --out docs/results/run_speed.md"
# Measured with this file on commit c833514, which had ONNX Runtime alone and read one line at a time.
BEFORE = """Before files were read in blocks and C computed the labels (commit c833514, the same machine, ONNX Runtime):

| whole files | samples | seconds of a core, with the start | samples a second |
|---|--:|--:|--:|
| CSV file | 5,000 | 1.37 | 3,645 |
| CSV on standard input | 5,000 | 1.31 | 3,805 |
| CSV as a data source says | 5,000 | 1.50 | 3,341 |
| CSV file, label after each sample | 5,000 | 2.13 | 2,347 |

| stream of 1 kHz | share of a core |
|---|--:|
| a row each millisecond on standard input | 18.8 % |

Before the lines of a live stream were read together (commit 57dc874, the same machine, C) a row each millisecond took
4.3 % of a core. Measured in turn beside programs that kept both cores busy, five times each: 7.3 to 9.2 % before, 2.7
to 3.6 % since.
"""
RATE_HZ = 1000.0
SOURCE = """name = "bench"
path = "stream.csv"
sample_rate_hz = 1000.0
window_length = 50
window_stride = 50
time_column = "t"
label_column = "label"
{channels}"""


@dataclass(frozen=True)
class Row:
    """One run of the command.

    Attributes:
        what: what was read, and with which options.
        samples: samples of the stream.
        seconds: time from start to end on the wall.
        cpu_seconds: processor time of the process.
    """

    what: str
    samples: int
    seconds: float
    cpu_seconds: float


def make_run(folder: Path, *, every_sample: bool) -> RunFolder:
    """A run folder with a float and an integer model and their exports, as training, quantize and export leave it."""
    made: FloatModel = reference_float_model("car", "lstm")
    readout = replace(made.readout, label_every="sample") if every_sample else made.readout
    made = replace(made, contract=replace(made.contract, sample_rate_hz=RATE_HZ), readout=readout)
    counts = reference_counts(SHAPES["car"], windows=8)
    quantized: IntModel = quantize(made, calibrate(made, counts))
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    save_model(made, run.float_model)
    save_model(quantized, run.int_model)
    run.quantization.write_text(json_text({"float_model_hash": model_hash(made)}), encoding="utf-8")
    write_exports(render_exports(quantized, made, counts[:2]), run.exports.path)
    return run


def rows_of(samples: int) -> Iterator[str]:
    """A CSV with times in seconds, three axes in m/s^2 and a label."""
    rng = np.random.default_rng(1)
    values = np.rint(rng.normal(0, 300, (samples, 3))) / 800
    yield "t,a0,a1,a2,label\n"
    for index, (x, y, z) in enumerate(values.tolist()):
        yield f"{index / RATE_HZ:.3f},{x:.5f},{y:.5f},{z:.5f},class 1\n"


@dataclass(frozen=True)
class Stream:
    """The command on a live stream.

    Attributes:
        what: what was read, and with which options.
        share: share of a core.
        late_s: time from writing the row of each label to reading that label, seconds; empty if not measured.
    """

    what: str
    share: float
    late_s: tuple[float, ...]

    @property
    def row(self) -> str:
        """A row of the table."""
        times = "| - | - |"
        if self.late_s:
            median, most = np.quantile(self.late_s, (0.5, 0.99)) * 1e3
            times = f"| {median:.1f} ms | {most:.1f} ms |"
        return f"| {self.what} | {100 * self.share:.1f} % {times}"


def timed(what: str, samples: int, arguments: list[str], stdin: Path | None = None) -> Row:
    """Run the command on a whole file."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryFile() as out, (stdin or Path(os.devnull)).open("rb") as given:
        command = [sys.executable, "-m", "edge_seq", "run", *arguments, "--json"]
        done = subprocess.run(command, stdin=given, stdout=out, stderr=subprocess.PIPE, check=False)
    took = time.perf_counter() - began
    assert done.returncode == 0, done.stderr.decode()
    return Row(what, samples, took, _cpu(resource.getrusage(resource.RUSAGE_CHILDREN)) - _cpu(before))


def paced(what: str, seconds: float, arguments: list[str], label_every: int) -> Stream:
    """Write one row each millisecond into the command's standard input; the start of the command does not count."""
    command = [sys.executable, "-m", "edge_seq", "run", *arguments, "--json"]
    first = round(RATE_HZ)  # rows that are written at once, while the command starts
    samples = round(seconds * RATE_HZ)
    lines = rows_of(samples + first)
    written, printed = dict[int, float](), dict[int, float]()  # by index of the sample, seconds
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        output = process.stdout
        for _ in range(1 + first):
            process.stdin.write(next(lines).encode())
        process.stdin.flush()
        for _ in range(first // label_every):
            output.readline()

        def listen() -> None:
            for line in output:
                now = time.perf_counter()
                printed[json.loads(line)["sample"]] = now

        listener = threading.Thread(target=listen)
        listener.start()
        used, began = _cpu_of(process.pid), time.perf_counter()
        for index, line in enumerate(lines):
            time.sleep(max(0.0, began + index / RATE_HZ - time.perf_counter()))
            written[first + index] = time.perf_counter()
            os.write(process.stdin.fileno(), line.encode())
        took, used = time.perf_counter() - began, _cpu_of(process.pid) - used
        process.stdin.close()
        listener.join()
    assert len(printed) == samples // label_every
    return Stream(what, used / took, tuple(printed[sample] - written[sample] for sample in sorted(printed)))


def in_a_loop(run: RunFolder, labels: int = 1000) -> float:
    """Processor time of a label when rows are always there, seconds: what a label costs with warm caches."""
    engine = open_engine(run.path, kind=None, engine="c", building=lambda: None)
    window = SHAPES["car"].time_steps
    lines = list(rows_of(labels * window))
    blocks = [lines[:1], *(lines[first : first + window] for first in range(1, len(lines), window))]
    samples = read_samples(iter(blocks), engine.contract, raw_counts=False, name="rows", label_every=window)
    began, found = time.process_time(), 0
    for decisions in decide_blocks(engine, samples):
        assert isinstance(decisions, list)
        found += len([json.dumps(asdict(decision)) for decision in decisions])
    assert found == labels
    return (time.process_time() - began) / labels


def of_a_board(what: str, seconds: float, run: RunFolder, arguments: list[str]) -> Stream:
    """The command on the samples of a board at a port, simulated in this process; its first second does not count."""
    model = load_run_int(run)
    counts = np.rint(np.random.default_rng(1).normal(0, 300, (5000, 3))).astype(np.int16)
    with socket_board(model, counts, rate_hz=RATE_HZ) as port:
        given = [str(run.path), "--source", port, "--duration-s", str(seconds + 3), "--json", *arguments]
        with subprocess.Popen(
            [sys.executable, "-m", "edge_seq", "run", *given], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            for _ in range(round(RATE_HZ) // SHAPES["car"].time_steps):
                assert process.stdout.readline()
            used, began = _cpu_of(process.pid), time.perf_counter()
            time.sleep(seconds)
            took, used = time.perf_counter() - began, _cpu_of(process.pid) - used
            process.stdout.read()
    return Stream(what, used / took, ())


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _cpu_of(process: int) -> float:
    """Processor time of a running process, seconds."""
    fields = Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()
    return int(fields[0]) / 1e9


def prepare(folder: Path, samples: int) -> tuple[RunFolder, RunFolder]:
    """Write the streams, and two runs: with a label after each window, and after each sample."""
    for name, count in (("stream.csv", samples), ("head.csv", samples // 20)):
        with (folder / name).open("w", encoding="utf-8") as file:
            file.writelines(rows_of(count))
    channels = "".join(
        f'[[channels]]\nname = "a{index}"\nunit = "m/s^2"\ncounts_per_unit = 800.0\nfull_scale = 40.0\n'
        for index in range(3)
    )
    (folder / "source.toml").write_text(SOURCE.format(channels=channels), encoding="utf-8")
    return make_run(folder / "run", every_sample=False), make_run(folder / "each", every_sample=True)


def files_of(engine: str, folder: Path, samples: int, run: RunFolder, each: RunFolder) -> list[Row]:
    """Rows of whole files; the first call builds the library."""
    chosen, name, few = _chosen(engine), engine or "onnx", samples // 20
    head = folder / "head.csv"
    path, size = (folder / "stream.csv", samples) if engine == "c" else (head, few)
    given = ["--source", str(path)]
    timed("warm", few, [str(run.path), "--source", str(head), *chosen])
    return [
        timed(f"{name}: CSV file", size, [str(run.path), *given, *chosen]),
        timed(f"{name}: CSV on standard input", size, [str(run.path), *chosen], path),
        timed(
            f"{name}: CSV as a data source says", size,
            [str(run.path), *given, "--data", str(folder / "source.toml"), *chosen],
        ),
        timed(
            f"{name}: CSV file, label after each sample", few, [str(each.path), "--source", str(head), *chosen]
        ),
    ]  # fmt: skip


def streams_of(engine: str, run: RunFolder, each: RunFolder) -> list[Stream]:
    """Rows of live streams."""
    chosen, name, window = _chosen(engine), engine or "onnx", SHAPES["car"].time_steps
    return [
        paced(f"{name}: a row each millisecond on standard input", 10.0, [str(run.path), *chosen], window),
        paced(f"{name}: the same, label after each sample", 10.0, [str(each.path), *chosen], 1),
        of_a_board(f"{name}: a board's samples at a port", 10.0, run, chosen),
    ]


def _chosen(engine: str) -> list[str]:
    return ["--engine", engine] if engine else []


def document(files: list[Row], streams: list[Stream], label_s: float) -> str:
    """Markdown."""
    of_files = "\n".join(
        f"| {row.what} | {row.samples:,} | {row.cpu_seconds:.2f} | {row.samples / row.cpu_seconds:,.0f} |"
        for row in files
    )
    of_streams = "\n".join(stream.row for stream in streams)
    share = label_s * RATE_HZ / SHAPES["car"].time_steps
    where = f"""Where the time of a stream goes: with C and rows that are always there, a label of 50 rows takes
{1e3 * label_s:.2f} ms of a core, {100 * share:.1f} % at 1 kHz. The rest is what a process pays that sleeps 20 times
a second: its code and data have left the processor's caches."""
    return f"""# Speed of edge-seq run

`{COMMAND}` wrote these tables. The model is the bench's LSTM (3 channels, 32
units, windows of 50 samples) at 1 kHz. Time is that of the process on one core, with its start.

{_machine()}, Python {platform.python_version()}.

| whole files | samples | seconds of a core, with the start | samples a second |
|---|--:|--:|--:|
{of_files}

The time from a row to its label is measured outside of the process.

| stream of 1 kHz | share of a core | from a row to its label: median | 99 % below |
|---|--:|--:|--:|
{of_streams}

{where}

{BEFORE}"""


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    names = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.split(":", 1)[1].strip() for line in names if line.startswith("model name")), "")
    return f"{model or platform.processor()}, {platform.system()} {platform.machine()}"


def main() -> None:
    """Measure, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write Markdown here")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--streams-only", action="store_true", help="leave the whole files out")
    parser.add_argument("--engines", nargs="*", default=["c", "onnx"], help="'' leaves the option away")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = prepare(Path(folder), options.samples)
        files = [] if options.streams_only else [
            row for engine in options.engines for row in files_of(engine, Path(folder), options.samples, *runs)
        ]  # fmt: skip
        streams = [row for engine in options.engines for row in streams_of(engine, *runs)]
        text = document(files, streams, in_a_loop(runs[0]))
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
