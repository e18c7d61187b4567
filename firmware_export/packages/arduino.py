"""Libraries for the Arduino IDE and arduino-cli: the runtime, and the model that depends on it."""

from __future__ import annotations

from firmware_export.packages.common.arduino_layout import model_library, runtime_library
from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, placed
from firmware_export.packages.common.readme import readme


def render(exported: ExportedC) -> Files:
    """Render the package: two folders for the ``libraries`` folder of the sketchbook."""
    install = f"""
Copy the folders of `libraries` into the `libraries` folder of your sketchbook (File > Preferences shows its place), or
zip each and use Sketch > Include Library > Add .ZIP Library. There are two: the runtime `{RUNTIME}` and the model
`{exported.library}`. `edge_seq` has no home page; to publish a library, set `url` in its `library.properties`.
"""
    example = f"""
File > Examples > {exported.library} > replay, then the serial monitor at 115200 baud. `stream` reads samples from the
serial port. `board` connects the model to `edge-seq verify RUN --port PORT`.

On AVR boards, weights and tables stay in program memory. In C++ there, models are known by address only: use the
functions of `edge_seq.h`, and not the fields of the structures.
"""
    return placed(
        "libraries",
        {
            **placed(
                RUNTIME,
                {
                    **runtime_library(exported),
                    "library.properties": _properties(
                        exported,
                        name=RUNTIME,
                        sentence="Runtime of recurrent classifiers for sensor signals, integers only.",
                        includes="edge_seq.h",
                        more="",
                    ),
                },
            ),
            **placed(
                exported.library,
                {
                    **model_library(exported),
                    "library.properties": _properties(
                        exported,
                        name=exported.library,
                        sentence=f"{exported.sentence}.",
                        includes=f"{exported.name}.h",
                        more=f"depends={RUNTIME} (={exported.version})\n",
                    ),
                    "README.md": readme(exported, system="Arduino", install=install, example=example),
                },
            ),
        },
    )


def _properties(exported: ExportedC, *, name: str, sentence: str, includes: str, more: str) -> str:
    return (
        f"name={name}\n"
        f"version={exported.version}\n"
        "author=edge_seq\n"
        "maintainer=edge_seq\n"
        f"sentence={sentence}\n"
        "paragraph=Bit-exact with the reference that the model was validated with; the self-test shows it.\n"
        "category=Data Processing\n"
        "url=\n"
        "architectures=*\n"
        f"includes={includes}\n{more}"
    )
