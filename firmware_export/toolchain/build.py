"""Find the host's C compilers and compile with them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
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
_WORDS_SHOWN = 3000  # longest part of a compiler's output in an error, characters


@dataclass(frozen=True)
class Compiler:
    """A C compiler that accepts gcc's options.

    Attributes:
        name: ``gcc``, ``clang``, ``cc``, ``zig``, or a name chosen by the caller.
        command: program and leading arguments.
    """

    name: str
    command: tuple[str, ...]

    @property
    def described(self) -> str:
        """Name and version, for reports."""
        return described(self.name, self.command)


@cache
def version_line(command: tuple[str, ...]) -> str:
    """First line of what a program says about its version; empty if it cannot be started.

    Args:
        command: program and leading arguments.
    """
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return ""
    return done.stdout.partition("\n")[0].strip()


def described(name: str, command: tuple[str, ...]) -> str:
    """Name and version of a program, as it says it.

    >>> described("my-cc", ("a program that is not there",))
    'my-cc'
    """
    line = version_line(command)
    return line if name in line else f"{name} ({line})" if line else name


def find_compilers() -> tuple[Compiler, ...]:
    """List host compilers in order of preference: gcc, clang, cc on the path, then the one in the ``ziglang`` wheel."""
    found = [Compiler(name, (path,)) for name in _ON_PATH if (path := shutil.which(name))]
    if importlib.util.find_spec("ziglang") is not None:
        found.append(Compiler("zig", (sys.executable, "-m", "ziglang", "cc")))
    return tuple(found)


def find_compiler(name: str | None = None) -> Compiler:
    """Find the preferred host compiler, or the one with the given name.

    Raises:
        ToolError: there is none; the message says what to install.
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
        compiler: compiler to use.
        sources: C files, or objects to link.
        output: file to create; its folder is created too.
        flags: options, placed before the other arguments.
        include_folders: include folders, searched in this order.
        libraries: linker options for libraries, placed last.
        root: working folder of the compiler; None for that of this process.
        environment: environment variables for the compiler, added to those of this process.
        timeout_s: time limit, seconds.

    Returns:
        ``output``.

    Raises:
        ToolError: the compiler cannot be started, takes too long, or fails; the message holds its output.
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
    """Compile each source to an object in ``folder``, in parallel on all cores.

    The name of an object begins with its position, as a model may have the same name as a source.

    ``root`` is the export folder and the compiler's working folder. A compiler cache (ccache with ``CCACHE_BASEDIR``)
    then sees the same relative paths for every export and compiles the runtime only once. The other arguments are those
    of :func:`compile_c`.

    Returns:
        Paths of the objects, in the order of the sources.

    Raises:
        ToolError: see :func:`compile_c`; raised for the first source that fails.
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
    """Compile each source in a folder beside ``output``, and link a program for this machine.

    Raises:
        ToolError: see :func:`compile_c`.
    """
    folder = output.with_name(f"{output.name}_objects")
    objects = compile_objects(compiler, sources, folder, root=root, flags=flags, include_folders=include_folders)
    return compile_c(compiler, objects, output, flags=[*flags, *link_flags])
