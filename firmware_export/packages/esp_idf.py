"""Components for Espressif's ESP-IDF, with a project that runs the example."""

from __future__ import annotations

from firmware_export.packages.common.exported import RUNTIME, ExportedC, Files, c_files, headers, placed
from firmware_export.packages.common.readme import readme, runtime_texts

ENTRY = "void app_main(void);\n\nvoid app_main(void)\n{\n    (void)replay();\n}"


def render(exported: ExportedC) -> Files:
    """Render the package: two folders for ``components``, and a project beside them."""
    name, library = exported.name, exported.library
    install = f"""
Copy the folders of `components` into the `components` folder of the project, and name the model in the `CMakeLists.txt`
of your component: `idf_component_register(... PRIV_REQUIRES {library})`. The runtime comes with
it. ESP-IDF 4.4 or later.
"""
    example = f"""
```sh
idf.py -C examples/{name}_replay set-target esp32 build flash monitor
```
"""
    return {
        **placed(
            f"components/{RUNTIME}",
            {
                "CMakeLists.txt": exported.text("esp_idf/runtime.cmake"),
                "idf_component.yml": _manifest(
                    exported, "Runtime of recurrent classifiers for sensor signals, integers only", needs=""
                ),
                **placed("include", {**exported.include, **headers(exported.load)}),
                **placed("src", {**exported.sources, **c_files(exported.load)}),
                **runtime_texts(exported),
            },
        ),
        **placed(
            f"components/{library}",
            {
                "CMakeLists.txt": exported.text("esp_idf/model.cmake"),
                "idf_component.yml": _manifest(
                    exported,
                    exported.sentence,
                    needs=f'  {RUNTIME}:\n    version: "{exported.version}"\n    path: "../{RUNTIME}"\n',
                ),
                **placed("include", headers({**exported.model, **exported.golden})),
                **placed("src", c_files({**exported.model, **exported.golden})),
                "README.md": readme(exported, system="ESP-IDF", install=install, example=example),
            },
        ),
        **placed(
            f"examples/{name}_replay",
            {
                "CMakeLists.txt": exported.text("esp_idf/project.cmake"),
                "main/CMakeLists.txt": exported.text("esp_idf/main.cmake"),
                "main/main.c": exported.text("replay.c", entry=ENTRY),
            },
        ),
    }


def _manifest(exported: ExportedC, description: str, *, needs: str) -> str:
    return (
        f'version: "{exported.version}"\ndescription: "{description}"\nlicense: "MIT"\n'
        f'dependencies:\n  idf:\n    version: ">=4.4"\n{needs}'
    )
