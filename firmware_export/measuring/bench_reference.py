"""Reference of the bench: a TOML file with the figures of other engines, and with limits."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from edge_seq.support.errors import ConfigError
from edge_seq.support.opening import load_toml
from edge_seq.support.tables import StrictTable, problems_in


class Peer(StrictTable):
    """Instructions of another engine.

    Attributes:
        name: engine and its options.
        cell: ``rnn``, ``gru`` or ``lstm``.
        instructions: target name to reference model to instructions of one window.
    """

    name: str
    cell: str
    instructions: dict[str, dict[str, int]]


class PeerBytes(StrictTable):
    """Memory of another engine on the target and model of :class:`ByteLimits`.

    Attributes:
        name: engine.
        code_and_tables: bytes of flash without weights.
        weights: bytes of flash.
        ram: bytes, with a remark on what they are.
    """

    name: str
    code_and_tables: int
    weights: int
    ram: str


class Limit(StrictTable):
    """Limit of the instructions of one window.

    Attributes:
        target: name of the target.
        model: name of the reference model.
        cell: ``rnn``, ``gru`` or ``lstm``.
        must: limit; more is a failure.
        aim: goal, a tighter limit that may be missed; None if there is none.
    """

    target: str
    model: str
    cell: str
    must: int
    aim: int | None = None


class ByteLimits(StrictTable):
    """Limits in bytes, the same for each cell, on one target and reference model.

    Attributes:
        target: name of the target.
        model: name of the reference model.
        code_and_tables: limit of code and tables.
        code_and_tables_aim: goal of code and tables.
        code_and_tables_os: limit of code and tables, built with ``-Os``.
        ram: limit of static RAM.
        weights_over: largest overhead of the stored weights, as a share of their bits.
    """

    target: str
    model: str
    code_and_tables: int
    code_and_tables_aim: int
    code_and_tables_os: int
    ram: int
    weights_over: float = Field(ge=0)


class BenchReference(StrictTable):
    """Content of the file.

    Attributes:
        source: where the figures of the other engines come from.
        peers: instructions of other engines.
        peer_bytes: memory of other engines.
        limits: limits of instructions.
        bytes: limits of bytes.
    """

    source: str
    peers: tuple[Peer, ...]
    peer_bytes: tuple[PeerBytes, ...]
    limits: tuple[Limit, ...]
    bytes: ByteLimits


def load_reference(path: Path) -> BenchReference:
    """Read the figures of other engines and the limits.

    Args:
        path: TOML file, such as ``docs/results/bench_reference.toml``.

    Raises:
        ConfigError: the file cannot be read, or a key is missing, unknown or of the wrong kind.
    """
    try:
        table = load_toml(path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"bench reference {path} does not exist; give a TOML file, such as docs/results/bench_reference.toml"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"bench reference {path} cannot be read as TOML: {error}") from error
    try:
        return BenchReference.model_validate(table)
    except ValidationError as error:
        problems = problems_in(error, BenchReference)
        raise ConfigError(
            f"bench reference {path}: {problems}. docs/results/bench_reference.toml shows the keys"
        ) from error
