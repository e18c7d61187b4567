"""Libraries for PlatformIO: the runtime, and the model that depends on it."""

from __future__ import annotations

import json

from firmware_export.packages.common.arduino_layout import SKETCHES, model_library, runtime_library
from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, placed
from firmware_export.packages.common.readme import readme


def render(exported: ExportedC) -> Files:
    """Render the package: two folders for the ``lib`` folder of a project."""
    name, version = exported.name, exported.version
    install = """
Copy the folders of `lib` into the `lib` folder of the project. `#include "@model@.h"` is enough: PlatformIO finds the
runtime by the model's includes. The libraries work with every framework and every platform; only `es_arduino.cpp` needs
Arduino, and it is compiled only with that framework.
""".replace("@model@", name)
    example = f"""
Copy `lib/{exported.library}/examples/replay/replay.ino` to `src/main.cpp`, add `#include <Arduino.h>` at its top, and
run `pio run -t upload -t monitor` with `monitor_speed = 115200` in `platformio.ini`. `stream` reads samples from the
serial port. `board` connects the model to `edge-seq verify RUN --port PORT`.
"""
    runtime = {
        **_manifest(RUNTIME, version, "Runtime of recurrent classifiers for sensor signals, integers only"),
        "headers": "edge_seq.h",
    }
    model = {
        **_manifest(exported.library, version, exported.sentence),
        "headers": f"{name}.h",
        "dependencies": {RUNTIME: version},
        "examples": [{"name": sketch, "base": f"examples/{sketch}", "files": [f"{sketch}.ino"]} for sketch in SKETCHES],
    }
    return {
        **placed(f"lib/{RUNTIME}", {**runtime_library(exported), "library.json": _json(runtime)}),
        **placed(
            f"lib/{exported.library}",
            {
                **model_library(exported),
                "library.json": _json(model),
                "README.md": readme(exported, system="PlatformIO", install=install, example=example),
            },
        ),
    }


def _manifest(name: str, version: str, description: str) -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "description": description,
        "keywords": ["classifier", "recurrent network", "accelerometer"],
        "license": "MIT",
        "frameworks": "*",
        "platforms": "*",
    }


def _json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2) + "\n"
