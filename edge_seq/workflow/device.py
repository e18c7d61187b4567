"""edge-seq device: queries of a board on a serial port, and an emulated board."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import SIDES
from edge_seq.data.window_file import load_windows
from edge_seq.device.client import Device, DeviceContract, open_device
from edge_seq.device.line import Timing
from edge_seq.device.messages import Cost, Decision, ErrorCode, HeadStatus, HeadUse, Hello, SelfTest
from edge_seq.device.transport import DEFAULT_BAUD
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError, DeviceError, DeviceRefusedError
from edge_seq.support.files import write_atomically
from edge_seq.support.opening import read_bytes
from edge_seq.support.results import Result, to_plain, written
from edge_seq.workflow.export import emitted_c
from edge_seq.workflow.folder import RunFolder, load_run_int
from firmware_export.emission.blob import read_blob
from firmware_export.running.board import BoardKind, Clock, RunningBoard, build_board, start_board

RECORDING_BYTES = 1 << 16
INSTRUCTIONS_UP_TO_HZ = 200.0  # above, a board whose clock counts instructions is too slow for its sensor


@dataclass(frozen=True)
class Ping(Result):
    """Result of some round trips to a device.

    Attributes:
        sent, answered: number of requests and of answers.
        lowest_ms, mean_ms, highest_ms: duration of a round trip in milliseconds.
        frame_errors: number of damaged frames.
        board: name that the device gives itself.
    """

    sent: int
    answered: int
    lowest_ms: float
    mean_ms: float
    highest_ms: float
    frame_errors: int
    board: str


def ping(port: str, *, baud: int = DEFAULT_BAUD, count: int = 5, timeout_s: float = 1.0) -> Ping:
    """Send some requests without repeating any, and measure the round trips.

    Args:
        port: Serial port or URL of pyserial.
        baud: Baud rate of the port.
        count: Number of requests, at least 1.
        timeout_s: Longest wait for an answer in seconds.

    Raises:
        DeviceError: the device does not answer.
        PortLostError: there is no such port.
    """
    with open_device(port, baud=baud, timing=Timing(timeout_s=timeout_s)) as device:
        board = device.info.board
        errors = device.frame_errors
        once = Timing(timeout_s=timeout_s, retries=0)
        taken = [one for one in (_round_trip(device, once) for _ in range(count)) if one is not None]
        if not taken:
            raise DeviceError(
                f"pinging {port}: the board answered when the port was opened, then none of {count} requests; try "
                "--timeout 5"
            )
        return Ping(
            count, len(taken), min(taken), sum(taken) / len(taken), max(taken), device.frame_errors - errors, board
        )


def _round_trip(device: Device, timing: Timing) -> float | None:
    """Duration of one round trip in milliseconds; None if no answer came."""
    began = time.monotonic()
    with device.patience(timing):
        try:
            device.hello()
        except DeviceError:
            return None
    return 1000 * (time.monotonic() - began)


@dataclass(frozen=True)
class DeviceDescription(Result, ShownAsTables):
    """Description that a device sends.

    Attributes:
        port: serial port.
        hello: identity and sizes.
        contract: sensor contract and labels.
        cost: measured cost of a step.
    """

    port: str
    hello: Hello = field(metadata=written(inline=True))
    contract: DeviceContract
    cost: Cost

    def tables(self) -> Sequence[Table]:
        """Model, contract, memory and cost."""
        hello, contract, cost = self.hello, self.contract, self.cost
        stack = "not known" if hello.free_stack_bytes is None else f"{hello.free_stack_bytes:,} bytes"
        channels = [
            [f"channel {index}", f"{name} [{unit}], {per_unit} counts a unit, full scale {scale}"]
            for index, (name, unit, per_unit, scale) in enumerate(contract.channels)
        ]
        rows = [
            ["board", f"{hello.board}, runtime {hello.runtime_version}"],
            ["model", hello.model_hash],
            ["labels", ", ".join(contract.labels)],
            ["rate", f"{contract.sample_rate_hz} Hz, preprocessing {contract.preprocessing}"],
            ["window", f"{hello.window_length} samples, stride {contract.window_stride}"],
            *channels,
            ["memory", f"{hello.context_bytes:,} bytes of {hello.memory_bytes:,}"],
            ["free stack", stack],
            ["has", ", ".join(to_plain(hello.capabilities)) or "nothing"],
            ["cost of a step", f"{cost.mean:,.1f} ticks over {cost.steps:,} steps ({cost.unit})"],
            ["frame errors", f"{hello.frame_errors} since its start"],
        ]
        return [Table(self.port, ["what", "value"], rows)]


def describe(port: str, *, baud: int = DEFAULT_BAUD, timeout_s: float = 1.0) -> DeviceDescription:
    """Ask a device for its description.

    Raises:
        DeviceError: the device does not answer.
        PortLostError: there is no such port.
    """
    with open_device(port, baud=baud, timing=Timing(timeout_s=timeout_s)) as device:
        contract = device.contract()
        return DeviceDescription(port, device.info, contract, device.cost())


@dataclass(frozen=True)
class DeviceSelfTest(Result):
    """Result of a device's self-test.

    Attributes:
        port: serial port.
        board: name that the device gives itself.
        passed: True if all values match.
        result: status, and what differed first.
    """

    port: str
    board: str
    passed: bool
    result: SelfTest = field(metadata=written(inline=True))


def self_test(port: str, *, baud: int = DEFAULT_BAUD, timeout_s: float = 1.0) -> DeviceSelfTest:
    """Run the self-test of the device.

    Raises:
        DeviceError: the device does not answer.
        PortLostError: there is no such port.
    """
    with open_device(port, baud=baud, timing=Timing(timeout_s=timeout_s)) as device:
        result = device.self_test()
        return DeviceSelfTest(port, device.info.board, result.passed, result)


@dataclass(frozen=True)
class LoadedModel(Result):
    """Result of loading a model to a device.

    Attributes:
        port: serial port.
        board: name that the device gives itself.
        model_hash: hash of the model that runs from the next start on.
        blob_bytes: size of the blob.
        sent_bytes: bytes of it that were sent; fewer if an earlier load was interrupted.
    """

    port: str
    board: str
    model_hash: str
    blob_bytes: int
    sent_bytes: int


def load_model(
    path: Path,
    port: str,
    *,
    any_contract: bool = False,
    baud: int = DEFAULT_BAUD,
    timeout_s: float = 1.0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> LoadedModel:
    """Send a model to the flash of a device. The device runs it from its next start on.

    Args:
        path: Blob from ``edge-seq export --blob``.
        port: Serial port or URL of pyserial.
        any_contract: Load it also if its sample rate, channels or labels are not those of the firmware.
        baud: Baud rate of the port.
        timeout_s: Longest wait for an answer in seconds.
        progress: Called with the number of bytes that the device has, and of all bytes.

    Raises:
        ModelError: the file is not a blob.
        DeviceError: the device does not answer, takes no models, or refuses this one; then it keeps its own.
        PortLostError: there is no such port.
    """
    blob = read_blob(path)
    with open_device(port, baud=baud, timing=Timing(timeout_s=timeout_s)) as device:
        done = device.load_model(
            blob.content, any_contract=any_contract, progress=lambda sent: progress(sent, len(blob.content))
        )
        return LoadedModel(port, device.info.board, blob.model_hash, done.blob_bytes, done.sent_bytes)


@dataclass(frozen=True)
class AdaptedHead(Result):
    """A head that learns, after what was asked of it.

    Attributes:
        port: serial port.
        board: name that the device gives itself.
        status: what the head is like.
    """

    port: str
    board: str
    status: HeadStatus = field(metadata=written(inline=True))

    def text(self) -> str:
        """Describe the head in one sentence."""
        head = self.status
        use = "logits are corrected" if head.in_use else "logits are those of the factory"
        return (
            f"{self.board} on {self.port}: {head.samples:,} labelled samples so far, {head.held} of {head.examples} "
            f"examples held, {use}"
        )


def adapt_device(
    port: str,
    *,
    label: str | None = None,
    windows: int = 1,
    use: HeadUse | None = None,
    restore: Path | None = None,
    save: Path | None = None,
    baud: int = DEFAULT_BAUD,
    timeout_s: float = 1.0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> AdaptedHead:
    """Teach the head of a device, switch, restore or save what it has learned. What is None is not done.

    Args:
        port: Serial port or URL of pyserial.
        label: Class of what the device's sensor sees now. The device runs its model on it until it has given and
            learned enough labels.
        windows: Number of labels that are learned, at least 1.
        use: Correct the logits, give those of the factory, or forget; done after teaching.
        restore: File of what was learned before; it is sent first.
        save: File to which what was learned is written, last.
        baud: Baud rate of the port.
        timeout_s: Longest wait for an answer in seconds.
        progress: Called with the number of learned labels, and of all that are to be learned.

    Raises:
        DeviceError: the device does not answer, has no head that learns, no sensor or no such class, or refuses.
        ConfigError: the file cannot be read.
        PortLostError: there is no such port.
    """
    content = None if restore is None else _read_learned(restore)
    with open_device(port, baud=baud, timing=Timing(timeout_s=timeout_s)) as device:
        if content is not None:
            device.restore_learned(content)
        if label is not None:
            _teach(device, label, windows, progress)
        if use is not None:
            device.use_head(use)
        status = device.head()
        if save is not None:
            write_atomically(save, device.save_learned())
        return AdaptedHead(port, device.info.board, status)


def _read_learned(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise ConfigError(
            f"restoring what a head has learned: {path} cannot be read ({error.strerror}); give a file "
            "that --save wrote"
        ) from error


def _teach(device: Device, label: str, windows: int, progress: Callable[[int, int], None]) -> None:
    device.head()  # refused before the stream begins, if there is no such head
    labels = device.contract().labels
    if label not in labels:
        raise DeviceError(f"teaching {device.name}: label {label!r} is unknown; give one of {list(labels)}")
    taught = 0
    with closing(device.stream(decisions=True)) as stream:
        for item in stream:
            if not isinstance(item, Decision):
                continue
            try:
                device.learn(labels.index(label))
            except DeviceRefusedError as refusal:
                if refusal.code != ErrorCode.STATE:  # a label that came while the one before it was learned
                    raise
                continue
            taught += 1
            progress(taught, windows)
            if taught >= windows:
                return


def recording_of(run: RunFolder) -> NDArray[np.int16]:
    """Join held-out windows to a recording int16 [n, C], as many as fit in RECORDING_BYTES."""
    side = next(side for side in ("test", "validation", *SIDES) if run.windows(side).is_file())
    counts = load_windows(run.windows(side)).counts
    whole = max(1, RECORDING_BYTES // (counts[0].nbytes))
    return np.ascontiguousarray(counts[:whole].reshape(-1, counts.shape[2]))


@contextmanager
def emulate(
    run: RunFolder,
    *,
    kind: BoardKind = "qemu",
    rate_hz: float | None = None,
    clock: Clock | None = None,
    link: Path | None = None,
    flash: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[RunningBoard]:
    """Build the firmware of an exported run and start it on an emulated board.

    The board's sensor plays held-out windows of the run in a loop.

    Args:
        run: Folder of an exported run.
        kind: ``qemu`` (a Cortex-M4) or ``posix`` (a process of this machine).
        rate_hz: Sample rate of the sensor in Hz; None takes the rate of the contract.
        clock: Clock of the emulated Cortex-M4; None takes ``instructions`` up to 200 Hz and ``host`` above.
        link: Path at which a symbolic link to the port is made; None makes none.
        flash: File that stands for the flash of a ``posix`` board, in which it keeps models; None for none.
        progress: Called with the current step.

    Raises:
        ConfigError, ExportError, ToolError: as the steps say.
    """
    model = load_run_int(run)
    rate = model.contract.sample_rate_hz if rate_hz is None else rate_hz
    if clock is None:
        clock = "instructions" if rate <= INSTRUCTIONS_UP_TO_HZ else "host"
    with tempfile.TemporaryDirectory(prefix="edge_seq_board_") as folder:
        progress("building the firmware")
        with emitted_c(run, model, doing=f"emulating {run.path.name}") as sources:
            firmware = build_board(sources, Path(folder), kind, recording=recording_of(run), rate_hz=rate, clock=clock)
        progress("starting the board")
        with start_board(firmware, link=link, flash=flash) as board:
            yield board
