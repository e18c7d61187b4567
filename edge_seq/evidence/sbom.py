"""List of the components of a firmware's model, as CycloneDX (a software bill of materials).

The ``cyclonedx-python-lib`` package writes it. The list has no time and no random number, so that the same components
give the same bytes.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import uuid
from collections.abc import Mapping

from edge_seq.support.errors import ToolError
from edge_seq.support.files import json_text

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def installed_packages(root: str = "edge-seq") -> dict[str, str]:
    """Versions of a package and of the packages that it needs, directly or not, as they are installed, sorted.

    >>> "numpy" in installed_packages()
    True
    """
    found: dict[str, str] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        key = distribution.metadata["Name"].lower().replace("_", "-")
        if key in found:
            continue
        found[key] = distribution.version
        for requirement in distribution.requires or []:
            needed = _NAME.match(requirement)
            if needed and "extra ==" not in requirement:
                waiting.append(needed[0])
    return dict(sorted(found.items()))


def c_files_of(outputs: Mapping[str, str]) -> dict[str, str]:
    """The C sources and headers among exported files, by path in their folder.

    Args:
        outputs: SHA-256 by path in the folder of exports.

    >>> c_files_of({"c/car.c": "12", "c/runtime/src/es_crc.h": "34", "c/manifest.json": "5", "onnx/step.onnx": "6"})
    {'car.c': '12', 'runtime/src/es_crc.h': '34'}
    """
    return {
        name.removeprefix("c/"): digest
        for name, digest in outputs.items()
        if name.startswith("c/") and name.endswith((".c", ".h"))
    }


def bill_of_materials(name: str, version: str, c_files: Mapping[str, str], packages: Mapping[str, str]) -> str:
    """Write the list of components: the C files with their hashes, and the Python packages that made them.

    Args:
        name: name of the model.
        version: its hash.
        c_files: SHA-256 of each exported C file by its path.
        packages: versions of Python packages by name.

    Returns:
        JSON of CycloneDX 1.5.

    Raises:
        ToolError: the package ``cyclonedx-python-lib`` is not installed.
    """
    try:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot5
        from packageurl import PackageURL
    except ImportError as error:
        raise ToolError(
            'a list of components needs the package cyclonedx-python-lib; run: pip install "edge-seq[evidence]"'
        ) from error
    bom = Bom()
    firmware = Component(name=name, version=version, type=ComponentType.FIRMWARE, bom_ref=f"model:{name}")
    files = [
        Component(
            name=path,
            type=ComponentType.FILE,
            bom_ref=f"file:{path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for path, digest in sorted(c_files.items())
    ]
    tools = [
        Component(
            name=package,
            version=release,
            type=ComponentType.LIBRARY,
            bom_ref=f"python:{package}",
            purl=PackageURL("pypi", None, package, release),
        )
        for package, release in sorted(packages.items())
    ]
    bom.metadata.component = firmware
    bom.components.update([*files, *tools])
    bom.register_dependency(firmware, files)
    for tool in tools:
        bom.register_dependency(tool)
    table = json.loads(JsonV1Dot5(bom).output_as_string())
    del table["metadata"]["timestamp"]
    del table["serialNumber"]
    table["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json_text(table))}"
    return json_text(dict(sorted(table.items()))) + "\n"
