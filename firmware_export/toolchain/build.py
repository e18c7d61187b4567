"""C compilers of the host: find them, and let them compile."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edge_seq.support.errors import ToolError

STRICT_FLAGS: tuple[str, ...] = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wdouble-promotion",
    "-Wmissing-prototypes",
    "-Wundef",
    "-Wstrict-prototypes",
    "-Werror",
)
_ON_PATH = ("gcc", "clang", "cc")
_WORDS_SHOWN = 3000  # of a compiler that fails


@dataclass(frozen=True)
class Compiler:
    """A C compiler that takes the options of gcc.

    Attributes:
        name: ``gcc``, ``clang``, ``cc``, ``zig``, or what the caller calls it.
        command: program and leading arguments.
    """

    name: str
    command: tuple[str, ...]


def find_compilers() -> tuple[Compiler, ...]:
    """Host compilers in order of preference: gcc, clang, cc on the path, then the one in the ``ziglang`` wheel."""
    found = [Compiler(name, (path,)) for name in _ON_PATH if (path := shutil.which(name))]
    if importlib.util.find_spec("ziglang") is not None:
        found.append(Compiler("zig", (sys.executable, "-m", "ziglang", "cc")))
    return tuple(found)


def find_compiler(name: str | None = None) -> Compiler:
    """The preferred host compiler, or the one asked for by name.

    Raises:
        ToolError: where there is none; says what to install.
    """
    compilers = find_compilers()
    for compiler in compilers:
        if name in (None, compiler.name):
            return compiler
    wanted = f"C compiler {name!r}" if name else "C compiler"
    present = ", ".join(compiler.name for compiler in compilers) or "none"
    raise ToolError(
        f"looking for a {wanted}: found {present}. Install gcc or clang, or the one that comes as a Python wheel: "
        'pip install "edge-seq[compiler]"'
    )


def compile_c(
    compiler: Compiler,
    sources: Sequence[Path],
    output: Path,
    *,
    flags: Sequence[str] = (),
    include_folders: Sequence[Path] = (),
    libraries: Sequence[str] = (),
    root: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 300.0,
) -> Path:
    """Compile and link to ``output`` (or only compile, with ``-c`` in the flags).

    Args:
        compiler: that is to do it.
        sources: C files, or objects to link.
        output: what is made; its folder is made too.
        flags: before all else.
        include_folders: searched in this order.
        libraries: last, for the linker.
        root: folder that the compiler works in, if not this process's.
        environment: variables for the compiler besides this process's.
        timeout_s: after which it is stopped.

    Raises:
        ToolError: with the compiler's own words where it fails, or where it cannot be started.
    """
    includes = [f"-I{folder.absolute()}" for folder in include_folders]
    files = [str(source.absolute()) for source in sources]
    command = [*compiler.command, *flags, *includes, *files, *libraries, "-o", str(output.absolute())]
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            cwd=root,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise ToolError(
            f"compiling {output.name}: {compiler.name} cannot be started ({error.strerror}); install it or "
            "choose another compiler"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"compiling {output.name}: {compiler.name} was not done after {timeout_s:g} s") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[:_WORDS_SHOWN]
        raise ToolError(
            f"compiling {output.name}: {compiler.name} {' '.join(flags)} failed with exit code {done.returncode} and "
            f"says:\n{words}"
        )
    return output


def compile_objects(
    compiler: Compiler,
    sources: Sequence[Path],
    folder: Path,
    *,
    root: Path,
    flags: Sequence[str] = (),
    include_folders: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> list[Path]:
    """Compile each source to an object in ``folder``, as many at once as this machine has cores; in the objects' names
    are their places, as a model may have the name of a source.

    ``root`` is the folder of the export, in which the compiler works: one with a cache before it (ccache, with
    ``CCACHE_BASEDIR``) then sees the same paths for every export, and compiles a runtime once. The rest is as for
    :func:`compile_c`.

    Raises:
        ToolError: as :func:`compile_c`, of the first source that fails.
    """

    def compile_one(place: int, source: Path) -> Path:
        return compile_c(
            compiler,
            [source],
            folder / f"{place:02}_{source.stem}.o",
            flags=[*flags, "-c"],
            include_folders=include_folders,
            root=root,
            environment=environment,
        )

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(compile_one, range(len(sources)), sources))


def build_program(
    compiler: Compiler,
    sources: Sequence[Path],
    output: Path,
    *,
    root: Path,
    flags: Sequence[str] = (),
    include_folders: Sequence[Path] = (),
    link_flags: Sequence[str] = (),
) -> Path:
    """Compile each source, in a folder beside ``output``, and link them to a program for this machine.

    Raises:
        ToolError: as :func:`compile_c`.
    """
    folder = output.with_name(f"{output.name}_objects")
    objects = compile_objects(compiler, sources, folder, root=root, flags=flags, include_folders=include_folders)
    return compile_c(compiler, objects, output, flags=[*flags, *link_flags])
