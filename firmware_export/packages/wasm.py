"""An ES module for Node.js and browsers, with the model and the runtime as WebAssembly."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from edge_seq.support.errors import ToolError
from firmware_export.packages.common.exported import ExportedC, Files, port_files
from firmware_export.packages.common.readme import readme
from firmware_export.toolchain.build import Compiler, compile_c, find_compilers
from firmware_export.toolchain.wasm_module import COMMON_FLAGS, LINK_FLAGS

_FLAGS = (*COMMON_FLAGS, "-O2", "-target", "wasm32-freestanding", "-nostdlib", *LINK_FLAGS, "-Wl,--strip-all")


def render(exported: ExportedC) -> dict[str, str | bytes]:
    """Render the package: a folder that npm installs. The module is compiled by the ``ziglang`` wheel.

    Raises:
        ToolError: the compiler is not installed, or it fails.
    """
    name, library = exported.name, exported.library
    manifest = exported.manifest
    install = f"""
```sh
npm install ./{library}        # or copy the folder beside your page
```

The folder has no dependencies. `index.js` is an ES module for Node.js 18 or later and for browsers; `index.d.ts` has
its types.
"""
    example = f"""
```sh
node {library}/examples/replay.mjs
```

```js
import {{ load }} from "{library}";

const model = await load();                 // runs the self-test, and throws if it fails
const answer = model.step([12, -3, 2048]);  // raw counts of a sample; null until an answer is due
if (answer) console.log(answer.label, answer.logits);
```

Each `load` gives a model with states of its own. The sections below are about the C in the module.
"""
    files: Files = {
        "package.json": _package_json(exported),
        "index.js": exported.text(
            "wasm/index.js",
            hash=str(manifest["model_hash"]),
            labels=json.dumps(manifest["labels"]),
            contract=json.dumps(manifest["contract"], indent=2),
        ),
        "index.d.ts": exported.text("wasm/index.d.ts"),
        "examples/replay.mjs": exported.text("wasm/replay.mjs"),
        "LICENSE": exported.text("LICENSE"),
        "README.md": readme(exported, system="JavaScript", install=install, example=example),
    }
    compiled: dict[str, str | bytes] = {f"{name}.wasm": _compile(exported)}
    return {f"{library}/{path}": content for path, content in {**files, **compiled}.items()}


def _compile(exported: ExportedC) -> bytes:
    """Compile runtime, model, golden vectors and the functions that ``index.js`` calls."""
    sources: Files = {
        **exported.include,
        **exported.sources,
        **exported.model,
        **exported.golden,
        "es_memory.c": port_files("bare")["es_memory.c"],
        "es_wasm_api.c": exported.text("wasm/api.c"),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for path, text in sources.items():
            (folder / path).write_text(text, encoding="utf-8")
        output = compile_c(
            _zig(exported.name),
            sorted(folder.glob("*.c")),
            folder / f"{exported.name}.wasm",
            flags=_FLAGS,
            include_folders=[folder],
        )
        return output.read_bytes()


def _zig(name: str) -> Compiler:
    for compiler in find_compilers():
        if compiler.name == "zig":
            return compiler
    raise ToolError(
        f"exporting {name} as WebAssembly: no compiler for it on this machine; install the one that comes as a wheel: "
        'pip install "edge-seq[compiler]"'
    )


def _package_json(exported: ExportedC) -> str:
    content = {
        "name": exported.library,
        "version": exported.version,
        "description": exported.sentence,
        "license": "MIT",
        "type": "module",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.js"},
            f"./{exported.name}.wasm": f"./{exported.name}.wasm",
        },
        "types": "./index.d.ts",
        "files": ["index.js", "index.d.ts", f"{exported.name}.wasm", "examples", "LICENSE"],
        "engines": {"node": ">=18"},
    }
    return json.dumps(content, indent=2) + "\n"
