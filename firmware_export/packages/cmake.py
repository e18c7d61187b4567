"""CMake projects: for add_subdirectory, FetchContent and find_package."""

from __future__ import annotations

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, c_files, headers, placed
from firmware_export.packages.common.readme import readme, runtime_texts
from firmware_export.packages.plain import MAIN


def render(exported: ExportedC) -> Files:
    """Render the package: a project each for the runtime and the model, and one above them that adds all."""
    name, library = exported.name, exported.library
    install = f"""
The targets are `edge_seq::{name}` and, for its runtime, `edge_seq::edge_seq`. Take one of three ways.

```cmake
add_subdirectory(path/to/this/package)                  # the runtime and every model in the package
target_link_libraries(firmware PRIVATE edge_seq::{name})
```

```cmake
include(FetchContent)
FetchContent_Declare(edge_seq_models SOURCE_DIR /path/to/this/package)  # or URL to an archive of it
FetchContent_MakeAvailable(edge_seq_models)
target_link_libraries(firmware PRIVATE edge_seq::{name})
```

```cmake
# after: cmake -S . -B build && cmake --build build && cmake --install build --prefix PREFIX
find_package({library} REQUIRED)                        # with PREFIX in CMAKE_PREFIX_PATH
target_link_libraries(firmware PRIVATE edge_seq::{name})
```
"""
    example = f"""
```sh
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DEDGE_SEQ_EXAMPLES=ON && cmake --build build
build/{library}/{name}_replay
build/{library}/{name}_stream     # reads samples from stdin
```

For a Cortex-M4, configure with `-DCMAKE_TOOLCHAIN_FILE=edge_seq/cmake/cortex_m4.cmake`; change a copy of that file for
another part.
"""
    runtime = {
        "CMakeLists.txt": exported.text(
            "cmake/runtime.cmake", sources=_list(c_files({**exported.sources, **exported.load}))
        ),
        "cmake/edge_seqConfig.cmake": exported.text("cmake/runtime_config.cmake"),
        "cmake/cortex_m4.cmake": exported.text("cmake/cortex_m4.cmake"),
        **placed("include", {**exported.include, **headers(exported.load)}),
        **placed("src", {**exported.sources, **c_files(exported.load)}),
        **runtime_texts(exported),
    }
    model = {
        "CMakeLists.txt": exported.text("cmake/model.cmake"),
        f"cmake/{library}Config.cmake": exported.text("cmake/model_config.cmake"),
        **placed("include", headers({**exported.model, **exported.golden})),
        **placed("src", c_files({**exported.model, **exported.golden})),
        f"examples/{name}_replay.c": exported.text("replay.c", entry=MAIN),
        f"examples/{name}_stream.c": exported.text("stream.c"),
        "README.md": readme(exported, system="CMake", install=install, example=example),
    }
    return {
        "CMakeLists.txt": exported.text("cmake/all.cmake"),
        **placed(RUNTIME, runtime),
        **placed(library, model),
    }


def _list(names: Files) -> str:
    return "\n".join(f"    src/{name}" for name in names)
