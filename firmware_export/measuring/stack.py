"""Worst-case stack of a step: the compiler's stack figures summed along the call graph.

With ``-fcallgraph-info=su``, gcc writes every function with its frame and its calls beside each object. An older gcc
writes only the frames; the calls are then read from the machine code. Calls through pointers go to the functions whose
addresses are in the models of the image. The machine code is also read for naked functions and for functions without
a figure from gcc (:mod:`firmware_export.measuring.code_scan`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_seq.support.errors import ToolError
from firmware_export.measuring.code_scan import can_scan, scan
from firmware_export.measuring.sizes import is_product
from firmware_export.toolchain.elf import ElfImage
from firmware_export.toolchain.image import Image

_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "[^"]*\\n(\d+) bytes \(([^)]*)\)', re.MULTILINE)
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', re.MULTILINE)
_USAGE = re.compile(r"^[^\t]*:(\w+)\t(\d+)\t(\S+)$", re.MULTILINE)
_INDIRECT = "__indirect_call"
_TABLES = (
    ("model",),
    ("chain",),
    ("both",),
    ("layers", "dense", "front"),
)  # of a model, with pointers to functions, top first
ENTRIES = ("es_step", "es_init", "es_reset")


@dataclass(frozen=True)
class Frames:
    """A call graph with stack frames.

    Attributes:
        bytes_of: frame of each function, bytes.
        calls: functions that each function calls.
        unknown: functions whose frame is not known; they count as 0 bytes.
    """

    bytes_of: Mapping[str, int]
    calls: Mapping[str, frozenset[str]]
    unknown: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class DeepestStack:
    """The call path with the largest stack.

    Attributes:
        bytes: sum of all frames on the path.
        path: (function, bytes), beginning with the function that a user calls.
        unknown: functions whose frame is not known and not in the sum.
    """

    bytes: int
    path: tuple[tuple[str, int], ...]
    unknown: tuple[str, ...] = ()


def _name(title: str) -> str:
    """Name of a function in the call graph, without the file that gcc adds for static functions."""
    return title.rsplit(":", 1)[-1]


def pointed_to(elf: ElfImage, names: tuple[str, ...], tables: tuple[str, ...]) -> frozenset[str]:
    """Functions whose addresses are stored in tables of the models: the possible targets of calls through pointers."""
    product = {section.name for section in elf.sections if is_product(section)}
    functions = {one.address: one.name for one in elf.symbols if one.is_function and one.section in product}
    width = 2 if elf.machine == "EM_AVR" else 4
    thumb_bit = 1 if elf.machine == "EM_ARM" else 0
    found = set()
    for name in names:
        for table in tables:
            symbol = elf.by_name.get(f"{name}_{table}")
            if symbol is None:
                continue  # a model without a chain
            data = elf.memory(_load_address(elf, symbol.address), symbol.size)
            for at in range(0, len(data) - width + 1, width):
                pointer = int.from_bytes(data[at : at + width], elf.byte_order)
                # An AVR code address counts 16-bit words; a Thumb code address has bit 0 set.
                address = 2 * pointer if elf.machine == "EM_AVR" else pointer & ~thumb_bit
                found.add(functions.get(address, ""))
    return frozenset(found - {""})


def _load_address(elf: ElfImage, address: int) -> int:
    """Address in flash of data that the start code copies to RAM; other addresses are returned unchanged."""
    data = next((section for section in elf.sections if section.name == ".data"), None)
    if data is None or not data.address <= address < data.address + data.size:
        return address
    return address - data.address + elf.address_of("es_data_load")


def read_frames(image: Image, elf: ElfImage) -> Frames:
    """Read the call graph of an image.

    Raises:
        ToolError: the compiler wrote no figures, or not for each object, or a frame has no bound.
    """
    figures = {path.stem: path for path in sorted(image.objects.glob("*.[cs][iu]"))}
    if not figures:
        raise ToolError(f"measuring the stack on {image.target.name}: {image.compiler.name} wrote no figures; gcc does")
    missing = sorted({path.stem for path in image.objects.glob("*.o")} - set(figures))
    if missing:
        raise ToolError(
            f"measuring the stack on {image.target.name}: {image.compiler.name} wrote no figures beside "
            f"{', '.join(f'{stem}.o' for stem in missing)}, and did beside others; a compiler cache may lose them: "
            "build without it"
        )
    texts = [path.read_text(encoding="utf-8") for path in figures.values()]
    bytes_of: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for text in texts:
        for title, size, kind in (*_NODE.findall(text), *_USAGE.findall(text)):
            name = _name(title)
            if kind == "dynamic":
                raise ToolError(
                    f"measuring the stack: the frame of {name} has no bound; use no arrays of variable size"
                )
            bytes_of[name] = max(int(size), bytes_of.get(name, 0))  # static functions may share a name
        for source, callee in _EDGE.findall(text):
            calls.setdefault(_name(source), set()).add(callee if callee == _INDIRECT else _name(callee))
    unknown = _read_machine_code(elf, bytes_of, calls)
    return Frames(bytes_of, _with_pointers(calls, elf, image.names), frozenset(unknown))


def _with_pointers(calls: dict[str, set[str]], elf: ElfImage, names: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Replace calls through pointers by the functions they may go to.

    A function that a table names calls what the tables below that one name: the pool in front of dense layers is named
    by the model, and calls the pool that the chain names, and dense layers. ``es_step`` calls what any table names.
    """
    targets = [pointed_to(elf, names, tuple(sum(_TABLES[level:], ()))) for level in range(len(_TABLES) + 1)]
    level_of: dict[str, int] = {}
    for level, tables in enumerate(_TABLES, start=1):  # a function that several tables name belongs to the lowest
        inside: set[str] = set()
        waiting = list(pointed_to(elf, names, tables))
        while waiting:
            if (name := waiting.pop()) not in inside:
                inside.add(name)
                waiting += calls.get(name, set()) - {_INDIRECT}
        level_of |= dict.fromkeys(inside, level)
    return {
        name: frozenset(called - {_INDIRECT} | (targets[level_of.get(name, 0)] if _INDIRECT in called else set()))
        for name, called in calls.items()
    }


def _read_machine_code(elf: ElfImage, bytes_of: dict[str, int], calls: dict[str, set[str]]) -> set[str]:
    """Add frames and calls that the compiler did not report; returns the functions that remain unknown."""
    product = {section.name for section in elf.sections if is_product(section)}
    code = [symbol for symbol in elf.symbols if symbol.section in product & {".text"}]
    names = {symbol.address: symbol.name for symbol in code}
    unknown = set()
    for symbol, after in zip(code, [*code[1:], None], strict=True):
        if not can_scan(elf):
            unknown |= {symbol.name} - set(bytes_of)
            continue
        # Assembly functions of the compiler's library may have no size.
        size = symbol.size or (after.address - symbol.address if after else 0)
        scanned = scan(elf, replace(symbol, size=size))
        if not bytes_of.get(symbol.name):
            bytes_of[symbol.name] = scanned.frame
        inside = range(symbol.address, symbol.address + max(size, 1))
        called = {names[address] for address in scanned.calls if address in names and address not in inside}
        calls.setdefault(symbol.name, set()).update(called | ({_INDIRECT} if scanned.through_pointers else set()))
    return unknown


def deepest(frames: Frames, entry: str) -> DeepestStack:
    """Find the call path from ``entry`` with the largest sum of frames.

    Raises:
        ToolError: a function calls itself, directly or indirectly.
    """
    done: dict[str, tuple[tuple[str, int], ...]] = {}

    def path_from(name: str, above: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        if name in above:
            raise ToolError(
                f"measuring the stack: {' calls '.join((*above, name))}: a recursion, whose depth has no bound"
            )
        if name not in done:
            below = [path_from(called, (*above, name)) for called in sorted(frames.calls.get(name, ()))]
            longest = max(below, key=lambda path: sum(size for _, size in path), default=())
            done[name] = ((name, frames.bytes_of.get(name, 0)), *longest)
        return done[name]

    path = path_from(entry, ())
    reached = {name for name in done if name in frames.unknown or name not in frames.bytes_of}
    return DeepestStack(sum(size for _, size in path), path, tuple(sorted(reached)))


def deepest_stack(image: Image) -> DeepestStack:
    """Find the worst-case stack of the functions that a user calls: ``es_step``, ``es_init`` and ``es_reset``.

    Raises:
        ToolError: the compiler wrote no figures, a frame has no bound, or a function calls itself.
    """
    elf = image.content
    frames = read_frames(image, elf)
    return max((deepest(frames, entry) for entry in ENTRIES), key=lambda found: found.bytes)
