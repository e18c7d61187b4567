"""Folders for a project of STM32CubeIDE or STM32CubeMX, with the port for ST's HAL."""

from __future__ import annotations

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, placed, port_files
from firmware_export.packages.common.readme import readme, runtime_texts

FOLDER = "Middlewares/Third_Party"


def render(exported: ExportedC) -> Files:
    """Render the package: a flat folder for the runtime, another for the model with an example for a UART."""
    name = exported.name
    example = {f"{name}_example.{suffix}": exported.text(f"stm32_example.{suffix}") for suffix in ("h", "c")}
    install = f"""
1. Copy `{FOLDER}` into the project, next to `Core` and `Drivers`.
2. Add `{FOLDER}/{RUNTIME}` and `{FOLDER}/{exported.library}` to the source folders (Project > Properties > C/C++
   General > Paths and Symbols > Source Location) and to the include paths of the C compiler. With CMake, add their C
   files to `target_sources` and the folders to `target_include_directories`.

`es_stm32_hal.h` connects the model to `edge-seq verify RUN --port PORT` through a UART.
"""
    usage = f"""
In `Core/Src/main.c`, after the UART is set up:

```c
#include "{name}_example.h"

{name}_example(&huart2); /* prints the answers at the UART's baud rate */
```
"""
    return {
        **placed(
            f"{FOLDER}/{RUNTIME}",
            {
                **exported.include,
                **exported.sources,
                **exported.load,
                **exported.wire,
                **port_files("stm32_hal"),
                **runtime_texts(exported),
            },
        ),
        **placed(
            f"{FOLDER}/{exported.library}",
            {
                **exported.model,
                **exported.golden,
                **example,
                "README.md": readme(exported, system="STM32Cube", install=install, example=usage),
            },
        ),
    }
