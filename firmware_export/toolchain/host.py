"""Build exported C for this machine, run it, and convert its output to a trace."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_seq.backends.trace import Trace
from edge_seq.ir.model import IntModel
from edge_seq.support.errors import ExportError, ParityError, ToolError
from edge_seq.support.files import stays_in_folder
from edge_seq.support.opening import parse_json, read_text
from firmware_export.emission import ctext
from firmware_export.emission.emit import MANIFEST, MANIFEST_VERSION, RUNTIME_FOLDER
from firmware_export.emission.words import require_same_model, require_usable_counts, trace_of_words, word_columns
from firmware_export.toolchain.build import Compiler, build_program, find_compiler

DEFAULT_FLAGS = ("-std=c99", "-O2")
_HASH_BYTES = 32
_CHUNK_STEPS = 1 << 16
_LOGGED_S = 2.0


@dataclass(frozen=True)
class HostProgram:
    """A program that contains exported models and runs them.

    Attributes:
        path: path of the program.
        names: names of the models, in the order of their index.
        emulator: command that runs the program if it is for another machine; empty for a program of the host.
        traced: True if the trace contains gates too. Firmware to ship is built without.
    """

    path: Path
    names: tuple[str, ...]
    emulator: tuple[str, ...] = ()
    traced: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """The command that starts it. The path is absolute, as a bare file name would be looked up on PATH."""
        return (*self.emulator, str(self.path.absolute()))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an export.

    Raises:
        ExportError: the folder has no manifest, another release wrote it, or it names files outside the folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ExportError(f"reading the C export in {folder.name}: no {MANIFEST} there; export the model with export_c")
    try:
        manifest = parse_json(read_text(path))
        version = manifest["manifest_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"reading {folder.name}/{MANIFEST}: not a manifest ({error}); export the model again"
        ) from error
    if version != MANIFEST_VERSION:
        raise ExportError(
            f"reading {folder.name}/{MANIFEST}: version {version}; this release reads {MANIFEST_VERSION}. Export again"
        )
    missing = sorted({"name", "model_hash", "sources"} - set(manifest))
    if missing:
        raise ExportError(f"reading {folder.name}/{MANIFEST}: it lacks {', '.join(missing)}; export the model again")
    _check_paths(folder, manifest)
    return dict(manifest)


def _check_paths(folder: Path, manifest: dict[str, Any]) -> None:
    """Check that all files a manifest names lie in its folder."""
    paths = [f"{manifest['name']}.c"]
    for field in ("sources", "golden_sources", "include_folders"):
        entries = manifest.get(field, [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise ExportError(
                f"reading {folder.name}/{MANIFEST}: {field} is not a list of file names; export the model again"
            )
        paths += entries
    for path in paths:
        if not stays_in_folder(path):
            raise ExportError(
                f"reading {folder.name}/{MANIFEST}: it names {path!r}, expected paths inside the folder, without '..'; "
                "export the model again"
            )


def read_exports(
    folders: Path | Sequence[Path], *, what: str
) -> tuple[list[Path], list[dict[str, Any]], tuple[str, ...]]:
    """Read the export folders to build into one program; returns the folders, their manifests and the models' names.

    Raises:
        ExportError: a folder is not an export, or two models have the same name.
    """
    folders = [folders] if isinstance(folders, Path) else list(folders)
    manifests = [read_manifest(folder) for folder in folders]
    names = tuple(str(manifest["name"]) for manifest in manifests)
    if len(set(names)) != len(names):
        raise ExportError(f"building {what}: models {list(names)} repeat a name; export them with other names")
    return folders, manifests, names


def models_table(names: Sequence[str]) -> str:
    """C text of ``es_host_models``, the table of models in a program or library for the host."""
    pointers = ", ".join(f"&{name}_model" for name in names)
    return (
        ctext.include("edge_seq.h")
        + "".join(ctext.include(f"{name}.h") for name in names)
        + "extern const es_model_t *const es_host_models[];\nextern const unsigned es_host_num_models;\n"
        + f"const es_model_t *const es_host_models[] = {{{pointers}}};\n"
        + f"const unsigned es_host_num_models = {len(names)}u;\n"
    )


def build_host(
    folders: Path | Sequence[Path],
    output: Path,
    *,
    compiler: Compiler | None = None,
    flags: Sequence[str] = DEFAULT_FLAGS,
    emulator: Sequence[str] = (),
    traced: bool = False,
) -> HostProgram:
    """Compile one or more exports into one program, with the runtime from the first.

    Args:
        folders: export folders, written by :func:`firmware_export.emission.emit.export_c`.
        output: program to create; a C file with the table of models is written beside it.
        compiler: compiler to use; None takes the preferred one.
        flags: options for the compiler.
        emulator: command that runs the program, if it is for another machine.
        traced: build with the hook that records every gate.

    Raises:
        ToolError: there is no compiler, or it fails; the message holds its output.
        ExportError: a folder is not an export, or two models have the same name.
    """
    folders, manifests, names = read_exports(folders, what=output.name)
    compiler = compiler or find_compiler()
    output.parent.mkdir(parents=True, exist_ok=True)
    table = output.with_name(f"{output.name}_models.c")
    table.write_text(models_table(names), encoding="utf-8")
    runtime = [folders[0] / source for source in manifests[0]["sources"] if source.startswith("runtime/")]
    build_program(
        compiler,
        [
            *runtime,
            *(folder / f"{name}.c" for folder, name in zip(folders, names, strict=True)),
            RUNTIME_FOLDER / "port" / "host_main.c",
            table,
        ],
        output,
        root=folders[0],
        flags=[*flags, *(["-DES_TRACE"] if traced else [])],
        include_folders=[
            *(folders[0] / folder for folder in ("runtime/include", "runtime/src")),
            *folders,
        ],
    )
    return HostProgram(output.absolute(), names, tuple(emulator), traced)


def _run(program: HostProgram, model: IntModel, counts: NDArray[np.int16], timeout_s: float) -> NDArray[np.int32]:
    """Run the program once; returns int32 [B, T, words]."""
    windows, time_steps, _ = counts.shape
    command = [*program.command, str(program.names.index(model.name)), str(time_steps)]
    where = f"running {model.name} {f'in {Path(command[0]).name}' if program.emulator else 'on the host'}"
    given = counts.astype("<i2").tobytes()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=timeout_s, check=False)
    except OSError as error:
        raise ToolError(f"{where}: {command[0]} cannot be started ({error.strerror}); build it again") from error
    except subprocess.TimeoutExpired as error:
        running = _function_that_runs(command, given) if program.emulator else ""
        raise ToolError(f"{where}: not done after {timeout_s:g} s{running and f', in {running}'}") from error
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()[:3000]
        raise ToolError(f"{where}: exit code {done.returncode}, and it says:\n{words}")
    require_same_model(model, done.stdout[:_HASH_BYTES].hex(), where="the host")
    _, row_words = word_columns(model, traced=program.traced)
    values = np.frombuffer(done.stdout, dtype="<i4", offset=_HASH_BYTES)
    if values.size != 1 + windows * time_steps * row_words or values[0] != row_words:
        raise ToolError(
            f"running {model.name} on the host: it wrote {values.size - 1} words, expected {windows} x {time_steps} x "
            f"{row_words}; the program was built by another release. Build it again"
        )
    return values[1:].reshape(windows, time_steps, row_words)


def _function_that_runs(command: Sequence[str], given: bytes) -> str:
    """Run a program that hangs in QEMU's user mode again, and take the function from the log of what it executes.

    Returns:
        Name of the function after :data:`_LOGGED_S` seconds; empty if the log shows none.
    """
    logging = [command[0], "-d", "exec,nochain", *command[1:]]
    end = b""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        with subprocess.Popen(logging, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            alarm = threading.Timer(_LOGGED_S, process.kill)
            alarm.start()
            assert process.stderr is not None
            while piece := process.stderr.read(1 << 16):
                end = (end + piece)[-(1 << 12) :]
            alarm.cancel()
    found = re.findall(rb"^Trace .*\] (\w+)$", end, re.MULTILINE)
    return found[-1].decode() if found else ""


def run_chunks(
    program: HostProgram,
    model: IntModel,
    counts: NDArray[np.int16],
    *,
    chunk_steps: int = _CHUNK_STEPS,
    timeout_s: float = 600.0,
) -> Iterator[tuple[slice, Trace]]:
    """Like :func:`run_on_host`, but a few windows at a time, so that a million steps need little memory.

    Yields:
        The range of windows, and their trace.
    """
    require_usable_counts(model, counts, program.names, where="the host")
    at_once = max(1, chunk_steps // counts.shape[1])
    for start in range(0, len(counts), at_once):
        part = slice(start, min(start + at_once, len(counts)))
        words = _run(program, model, counts[part], timeout_s)
        yield part, trace_of_words(model, words, traced=program.traced)


def run_on_host(program: HostProgram, model: IntModel, counts: NDArray[np.int16], *, timeout_s: float = 600.0) -> Trace:
    """Run each stream or window from a reset, as :func:`edge_seq.backends.reference_int.run_reference` does.

    Args:
        program: program from :func:`build_host`.
        model: model to run; its hash must equal the hash in the program.
        counts: raw counts, int16 [B, T, C]. T may be any length; windows follow each other.
        timeout_s: time limit for a chunk of about 65,000 steps, seconds.

    Returns:
        Trace of int64 arrays [B, T, N], named as in ``trace_names``; without gates unless the build is traced.

    Raises:
        ParityError: the program contains another model (a stale export), or the counts do not fit.
        ToolError: the program fails.
    """
    traces = [trace for _, trace in run_chunks(program, model, counts, timeout_s=timeout_s)]
    return Trace({name: np.concatenate([trace.values[name] for trace in traces]) for name in traces[0].values})


def self_test_on_host(folder: Path, output: Path, *, compiler: Compiler | None = None) -> None:
    """Build an export with its golden vectors into a program, and run the self-test that firmware runs too.

    Args:
        folder: export folder, written by :func:`firmware_export.emission.emit.export_c`.
        output: program to create.
        compiler: compiler to use; None takes the preferred one.

    Raises:
        ToolError: there is no compiler, or it fails; the message holds its output.
        ExportError: the folder is not an export.
        ParityError: the self-test fails; the message names window and step.
    """
    manifest = read_manifest(folder)
    name = str(manifest["name"])
    output.parent.mkdir(parents=True, exist_ok=True)
    main = output.with_name(f"{output.name}_main.c")
    main.write_text(ctext.self_test_program(name), encoding="utf-8")
    sources = [folder / source for source in (*manifest["sources"], *manifest["golden_sources"])]
    includes = [folder / part for part in manifest["include_folders"]]
    build_program(
        compiler or find_compiler(),
        [*sources, main],
        output,
        root=folder,
        flags=DEFAULT_FLAGS,
        include_folders=includes,
    )
    done = subprocess.run([str(output.absolute())], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ParityError(f"self-test of {name}: {done.stdout.strip() or f'exit code {done.returncode}'}")
