"""CMSIS packs, for Keil, IAR and the CMSIS-Toolbox: one for the runtime, one for the model."""

from __future__ import annotations

import io
import zipfile
from xml.sax.saxutils import quoteattr

from firmware_export.packages.common.exported import (
    RUNTIME,
    ExportedC,
    Files,
    c_files,
    headers,
    placed,
)
from firmware_export.packages.common.readme import readme, runtime_texts
from firmware_export.packages.plain import MAIN

VENDOR = "edge_seq"
_RELEASED = "2026-01-01"  # the format wants a date; the same export gives the same pack on every day
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def render(exported: ExportedC) -> dict[str, str | bytes]:
    """Render the package: two packs, and the model's README beside them."""
    name = exported.name
    runtime_id, model_id = f"{VENDOR}.{RUNTIME}", f"{VENDOR}.{name}"
    install = f"""
```sh
cpackget add {runtime_id}.{exported.version}.pack {model_id}.{exported.version}.pack
```

In Keil uVision, open both files with the Pack Installer. Then select the component *Machine Learning: edge_seq: {name}*
in the project; it needs *Machine Learning: edge_seq: Runtime*, which *Resolve* adds. In a `cproject.yml`:

```yaml
packs:
  - pack: {VENDOR}::{RUNTIME}@{exported.version}
  - pack: {VENDOR}::{name}@{exported.version}
components:
  - component: Machine Learning:edge_seq:Runtime
  - component: Machine Learning:edge_seq:{name}
```
"""
    example = f"""
Add the user code template *Replay of the self-test ({name})* to the project. It is a `main` that prints with `printf`,
so the project needs a way to print, such as the component *CMSIS-Compiler: I/O: STDOUT*.
"""
    text = readme(exported, system="CMSIS-Pack", install=install, example=example)
    golden = {**exported.model, **exported.golden}
    runtime: Files = {
        **placed("include", {**exported.include, **headers(exported.load)}),
        **placed("src", {**exported.sources, **c_files(exported.load)}),
        **runtime_texts(exported),
    }
    model: Files = {
        **placed("include", headers(golden)),
        **placed("src", c_files(golden)),
        "examples/replay.c": exported.text("replay.c", entry=MAIN),
        "README.md": text,
    }
    packs = {
        runtime_id: {**runtime, f"{runtime_id}.pdsc": _runtime_description(exported, runtime)},
        model_id: {**model, f"{model_id}.pdsc": _model_description(exported, model)},
    }
    return {
        **{f"{pack}.{exported.version}.pack": zipped(files) for pack, files in packs.items()},
        f"README_{name}.md": text,
    }


def zipped(files: Files) -> bytes:
    """Pack files as a ZIP archive, stored without compression: the same bytes with every release of zlib."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _ZIP_TIME)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[path])
    return memory.getvalue()


def _runtime_description(exported: ExportedC, files: Files) -> str:
    return exported.text(
        "cmsis_pack/runtime.pdsc",
        released=_RELEASED,
        files=_lines(
            [
                '<file category="doc" name="README.md"/>',
                '<file category="include" name="include/"/>',
                *(f'<file category="source" name={quoteattr(path)}/>' for path in sorted(files) if path.endswith(".c")),
            ]
        ),
    )


def _model_description(exported: ExportedC, files: Files) -> str:
    select = quoteattr(f"Replay of the self-test ({exported.name})")
    return exported.text(
        "cmsis_pack/model.pdsc",
        released=_RELEASED,
        files=_lines(
            [
                '<file category="doc" name="README.md"/>',
                '<file category="include" name="include/"/>',
                *(f'<file category="source" name={quoteattr(path)}/>' for path in sorted(files) if path[:4] == "src/"),
                f'<file category="source" attr="template" name="examples/replay.c" select={select}/>',
            ]
        ),
    )


def _lines(elements: list[str]) -> str:
    return "\n".join(f"        {element}" for element in elements)
