"""All C files in one folder, for any build: one command of a compiler, or a drag into an IDE."""

from __future__ import annotations

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, placed
from firmware_export.packages.common.readme import readme

MAIN = "int main(void)\n{\n    return replay();\n}"


def render(exported: ExportedC) -> Files:
    """Render the package: C files and headers side by side, examples in a folder."""
    name = exported.name
    return {
        **exported.include,
        **exported.sources,
        **exported.model,
        **exported.golden,
        **placed("load", exported.load),
        **placed(
            "examples",
            {
                f"{name}_replay.c": exported.text("replay.c", entry=MAIN),
                f"{name}_stream.c": exported.text("stream.c"),
            },
        ),
        f"LICENSE_{RUNTIME}": exported.text("LICENSE"),
        f"README_{name}.md": readme(
            exported,
            system="any C99 compiler",
            install="Compile all C files of this folder with the folder as an include path. They need no options.\n"
            "The folder `load` has the loader of models that are not compiled in; leave it out if you load none.",
            example=f"""
```sh
cc -std=c99 -O2 -I. *.c examples/{name}_replay.c -o {name}_replay && ./{name}_replay
cc -std=c99 -O2 -I. *.c examples/{name}_stream.c -o {name}_stream   # reads samples from stdin
```
""",
        ),
    }
