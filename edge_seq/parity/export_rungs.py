"""The rung of the exported files: each equals what the exporter makes from the models now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from edge_seq.backends.onnx.metadata import content_hash, content_hash_of_bytes
from edge_seq.backends.onnx.run import load_onnx
from edge_seq.parity.ladder import Rung
from edge_seq.support.errors import ModelError, ParityError

LISTED = 4  # changed files that a message names


def changed_files(folder: Path, rendered: Mapping[str, bytes]) -> tuple[str, ...]:
    """Find the exported files that differ from rendered ones: stale, edited or missing.

    ONNX files are compared by the hash of their content, because another release of protobuf may write the same graph
    in other bytes.

    Args:
        folder: Folder of exports.
        rendered: Content by path in the folder, from :mod:`edge_seq.pipeline.exports`.

    Returns:
        Paths in the folder, sorted.
    """
    return tuple(sorted(path for path, content in rendered.items() if not _is_same(folder / path, content)))


def _is_same(path: Path, content: bytes) -> bool:
    if path.suffix != ".onnx":
        return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    try:
        return content_hash(load_onnx(path).proto) == content_hash_of_bytes(content)
    except ModelError:
        return False


def describe_changes(changed: Sequence[str]) -> str:
    """Describe which exported files are changed, and what to do."""
    more = f" and {len(changed) - LISTED} more" if len(changed) > LISTED else ""
    return (
        f"{', '.join(changed[:LISTED])}{more}: not what this release of edge_seq makes from the run's models (stale, "
        "edited or missing). Run edge-seq export again"
    )


def exports_rung(name: str, changed: Sequence[str], rendered: Collection[str]) -> Rung:
    """Report whether the exported files are up to date.

    Args:
        name: Name of the rung.
        changed: Result of :func:`changed_files`.
        rendered: Paths of all exported files.
    """
    if changed:
        return Rung(name, "exact", "failed", describe_changes(changed))
    return Rung(name, "exact", "holds", f"{len(rendered)} files")


def require_unchanged(folder: Path, rendered: Mapping[str, bytes], *, doing: str) -> None:
    """Refuse exported files that differ from what the exporter makes from the models now.

    Args:
        folder: Folder of exports.
        rendered: Content by path in the folder.
        doing: Beginning of the error message, for example ``measuring car``.

    Raises:
        ParityError: files differ; the message names them.
    """
    if changed := changed_files(folder, rendered):
        raise ParityError(f"{doing}: {describe_changes(changed)}")
