"""Modules for Zephyr, with a sample."""

from __future__ import annotations

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, c_files, headers, placed
from firmware_export.packages.common.readme import readme, runtime_texts
from firmware_export.packages.plain import MAIN


def render(exported: ExportedC) -> Files:
    """Render the package: a module for the runtime and one for the model, which selects the runtime."""
    library = exported.library
    symbol = library.upper()
    install = f"""
Add the folders `{RUNTIME}` and `{library}` as modules, either in `west.yml` or in the application's `CMakeLists.txt`
before `find_package(Zephyr)`:

```cmake
list(APPEND ZEPHYR_EXTRA_MODULES /path/to/{RUNTIME} /path/to/{library})
```

Then set `CONFIG_{symbol}=y` in `prj.conf`.
"""
    example = f"""
```sh
west build -b qemu_cortex_m3 {library}/samples/replay -t run
```
"""
    runtime = {
        "zephyr/module.yml": f"name: {RUNTIME}\nbuild:\n  cmake: .\n  kconfig: Kconfig\n",
        "CMakeLists.txt": exported.text(
            "zephyr/runtime.cmake", sources=_list(c_files({**exported.sources, **exported.load}))
        ),
        "Kconfig": exported.text("zephyr/Kconfig.runtime"),
        **placed("include", {**exported.include, **headers(exported.load)}),
        **placed("src", {**exported.sources, **c_files(exported.load)}),
        **runtime_texts(exported),
    }
    model = {
        "zephyr/module.yml": (
            f"name: {library}\nbuild:\n  cmake: .\n  kconfig: Kconfig\n  depends:\n    - {RUNTIME}\n"
            "samples:\n  - samples\n"
        ),
        "CMakeLists.txt": exported.text("zephyr/model.cmake", symbol=symbol),
        "Kconfig": exported.text("zephyr/Kconfig.model", symbol=symbol),
        **placed("include", headers({**exported.model, **exported.golden})),
        **placed("src", c_files({**exported.model, **exported.golden})),
        "samples/replay/CMakeLists.txt": exported.text("zephyr/sample.cmake"),
        "samples/replay/prj.conf": f"CONFIG_{symbol}=y\nCONFIG_MAIN_STACK_SIZE=2048\n",
        "samples/replay/sample.yaml": exported.text("zephyr/sample.yaml"),
        "samples/replay/src/main.c": exported.text("replay.c", entry=MAIN),
        "README.md": readme(exported, system="Zephyr", install=install, example=example),
    }
    return {**placed(RUNTIME, runtime), **placed(library, model)}


def _list(names: Files) -> str:
    return "\n".join(f"        src/{name}" for name in names)
