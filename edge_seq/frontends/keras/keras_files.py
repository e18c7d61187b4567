"""Opening of files that Keras saved. Sizes are checked before memory is taken, no link is followed, no code is run."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_seq.frontends.chain import Array, float32
from edge_seq.frontends.opening import check_size, model_bytes, reading_model
from edge_seq.support.errors import ModelError, ToolError
from edge_seq.support.hdf5 import check_heaps
from edge_seq.support.opening import parse_json

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MAX_CONFIG_BYTES = 1 << 24
# Groups of layers in the weights of a .keras file: of Keras 3, and of TensorFlow 2.12 to 2.15.
_LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies")


@dataclass
class KerasFile:
    """An open file.

    Attributes:
        what: its name, for messages.
        config: description of the model: ``class_name`` and ``config``.
        root: HDF5 group of the weights.
        is_legacy: True for an ``.h5`` file, whose groups are named as the layers are.
    """

    what: str
    config: dict[str, Any]
    root: Any
    is_legacy: bool

    def weights(self, kind: str, name: str) -> list[Array]:
        """All weights of a layer, in the order in which Keras lists them. Empty if it has none.

        Raises:
            ModelError: the file does not hold them, or holds them in a way that is refused.
        """
        if self.is_legacy:
            return self._legacy(name)
        group = self._group_of(kind, name)
        return [] if group is None else self._in_group(group)

    def _group_of(self, kind: str, name: str) -> Any:
        """Group of a layer. Keras names them by class, and counts the layers of each class from the input on."""
        parent = next((found for one in _LAYER_GROUPS if (found := self._child(self.root, one)) is not None), None)
        if parent is None:
            return None
        same = [layer for layer in self._layers() if layer[0] == kind]
        position = [layer_name for _, layer_name in same].index(name)
        base = snake_case(kind)
        return self._child(parent, base if position == 0 else f"{base}_{position}")

    def _layers(self) -> list[tuple[str, str]]:
        inner = self.config["config"]
        entries = inner if isinstance(inner, list) else inner["layers"]
        return [(str(one["class_name"]), str(one["config"].get("name", ""))) for one in entries]

    def _in_group(self, group: Any) -> list[Array]:
        """Weights below a group: its own, then those of its parts, in Keras' order."""
        found = []
        own = self._child(group, "vars")
        if own is not None:
            for index in range(len(own)):
                found.append(self._dataset(self._child(own, str(index)), f"{group.name}/vars/{index}"))
        for part in ("forward_layer", "backward_layer", "layer", "cell"):
            inner = self._child(group, part)
            if inner is not None:
                found += self._in_group(inner)
        return found

    def _legacy(self, name: str) -> list[Array]:
        parent = self._child(self.root, "model_weights")
        group = None if parent is None else self._child(parent, name)
        if group is None:
            return []
        names = [one.decode() if isinstance(one, bytes) else str(one) for one in _attribute(group, "weight_names", ())]
        found = []
        for path in names:
            part = group
            for step in path.split("/"):
                part = None if part is None else self._child(part, step)
            found.append(self._dataset(part, f"{name}/{path}"))
        return found

    def _child(self, group: Any, name: str) -> Any:
        """A member of a group; None if there is none. Links to other places and other files are refused."""
        import h5py

        if not isinstance(group, h5py.Group) or name not in group:
            return None
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            where = f", to the file {link.filename!r}" if isinstance(link, h5py.ExternalLink) else ""
            raise ModelError(
                f"importing {self.what}: {group.name}/{name} is a link ({type(link).__name__}{where}); Keras writes "
                "none, so it is not followed. Save the model again with model.save"
            )
        return group[name]

    def _dataset(self, dataset: Any, where: str) -> Array:
        import h5py

        if not isinstance(dataset, h5py.Dataset):
            raise ModelError(f"importing {self.what}: {where} is missing; the file is damaged. Save the model again")
        if dataset.external or dataset.is_virtual:
            raise ModelError(
                f"importing {self.what}: the numbers of {where} are in another file; Keras writes none such, so they "
                "are not read. Save the model again with model.save"
            )
        if dataset.dtype.kind != "f" and not np.issubdtype(dataset.dtype, np.integer):
            raise ModelError(
                f"importing {self.what}: {where} is {dataset.dtype}; expected floating point. Save the model with "
                "float32 weights"
            )
        check_size(self.what, where, dataset.shape)
        stored = dataset.id.get_storage_size()
        if stored < dataset.size * dataset.dtype.itemsize:
            raise ModelError(
                f"importing {self.what}: {where} {list(dataset.shape)} has {stored:,} bytes in the file; expected "
                f"{dataset.size * dataset.dtype.itemsize:,}, as Keras stores weights unpacked. Save the model again"
            )
        values = float32(dataset[()])
        if not np.isfinite(values).all():
            raise ModelError(f"importing {self.what}: {where} has values that are not finite; train again")
        return values


def snake_case(name: str) -> str:
    """Name of a layer's group: as ``keras/src/utils/naming.py`` makes it.

    >>> snake_case("SimpleRNN"), snake_case("LSTM"), snake_case("BatchNormalization"), snake_case("Conv1D")
    ('simple_rnn', 'lstm', 'batch_normalization', 'conv1d')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


@contextmanager
def open_keras(path: Path) -> Iterator[KerasFile]:
    """Open a ``.keras`` or ``.h5`` file.

    Raises:
        ModelError: it is neither, is damaged, or unpacks to more than a network needs.
        ToolError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ToolError(
            f"importing {path.name}: the Python package h5py is missing; pip install 'edge-seq[hdf5]'"
        ) from error
    content = model_bytes(path)
    with reading_model(path.name, "a file of Keras"):
        if content[:4] == b"PK\x03\x04":
            config, weights = _unpack(content, path.name)
            check_heaps(weights)
            with h5py.File(io.BytesIO(weights), "r") as root:
                yield KerasFile(path.name, config, root, is_legacy=False)
        elif content[:8] == b"\x89HDF\r\n\x1a\n":
            check_heaps(content)
            with h5py.File(io.BytesIO(content), "r") as root:
                text = _attribute(root, "model_config", None)
                if text is None:
                    raise ModelError(
                        f"importing {path.name}: it has weights, but no description of the layers (model_config); give "
                        "the file that model.save wrote, not save_weights"
                    )
                data = text.encode() if isinstance(text, str) else bytes(text)
                yield KerasFile(path.name, config_of_json(data, path.name), root, is_legacy=True)
        else:
            raise ModelError(
                f"importing {path.name}: neither a zip (.keras) nor HDF5 (.h5); expected a file that model.save wrote"
            )


def _unpack(content: bytes, what: str) -> tuple[dict[str, Any], bytes]:
    """The description and the weights in a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = {one.filename: one.file_size for one in archive.infolist()}
        for name, most in ((CONFIG, MAX_CONFIG_BYTES), (WEIGHTS, 2 * len(content) + (1 << 20))):
            if name not in sizes:
                raise ModelError(
                    f"importing {what}: the zip holds {sorted(sizes)[:8]}; expected {CONFIG} and {WEIGHTS}, as Keras "
                    "writes them"
                )
            if sizes[name] > most:
                raise ModelError(
                    f"importing {what}: {name} in it would unpack to {sizes[name]:,} bytes, expected at most {most:,}; "
                    "Keras stores weights unpacked. Save the model again with model.save"
                )
        config, weights = (_read_member(archive, name, sizes[name]) for name in (CONFIG, WEIGHTS))
    return config_of_json(config, what), weights


def _read_member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Read a member, no further than its stated size."""
    with archive.open(name) as member:
        return member.read(size)


def _attribute(group: Any, name: str, default: Any) -> Any:
    """An attribute of an HDF5 group that is not larger than a description is."""
    import h5py

    if name not in group.attrs:
        return default
    size = h5py.h5a.open(group.id, name.encode()).get_storage_size()
    if size > MAX_CONFIG_BYTES:
        raise ModelError(
            f"importing a file of Keras: the attribute {name} of {group.name} has {size:,} bytes, expected at most "
            f"{MAX_CONFIG_BYTES:,}. Save the model again with model.save"
        )
    return group.attrs[name]


def config_of_json(text: bytes, what: str) -> dict[str, Any]:
    """Parse the JSON of a model.

    Raises:
        ModelError: it is no JSON object, or is nested too deeply.
    """
    try:
        config = parse_json(text)
    except ValueError as error:
        raise ModelError(
            f"importing {what}: the description of its layers is no JSON ({error}); save it again"
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"importing {what}: the description of its layers is a {type(config).__name__}; save it again")
    return config
