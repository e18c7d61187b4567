"""Metadata of the packages, as the tools of their build systems read it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

LIBRARIES = ("edge_seq", "edge_seq_car", "edge_seq_gait")


def test_libraries_of_arduino(folder: Path) -> None:
    for name in LIBRARIES:
        library = folder / "arduino" / "libraries" / name
        lines = (library / "library.properties").read_text().splitlines()
        fields = dict(line.split("=", 1) for line in lines)
        assert fields["name"] == name
        assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
        assert {"author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"} <= set(fields)
        assert fields.get("depends") == (None if name == "edge_seq" else "edge_seq (=0.1.0)")
        assert (library / "src" / fields["includes"]).is_file()
        for sketch in (library / "examples").glob("*/*.ino"):
            assert sketch.stem == sketch.parent.name


def test_libraries_of_platformio(folder: Path) -> None:
    for name in LIBRARIES:
        library = folder / "platformio" / "lib" / name
        content = json.loads((library / "library.json").read_text())
        assert (content["name"], content["version"], content["license"]) == (name, "0.1.0", "MIT")
        assert content.get("dependencies") == (None if name == "edge_seq" else {"edge_seq": "0.1.0"})
        assert (library / "src" / content["headers"]).is_file()
        for example in content.get("examples", []):
            assert all((library / example["base"] / file).is_file() for file in example["files"])


@pytest.mark.slow
def test_platformio_packs_them(folder: Path, tmp_path: Path) -> None:
    program = shutil.which("pio")
    if program is None:
        pytest.skip("pio is not on this machine; pip install platformio")
    # PlatformIO fetches the list of licences from the network; here it is the one that the libraries have.
    start = """
import sys
from platformio.package.manifest.schema import ManifestSchema
ManifestSchema.load_spdx_licenses = staticmethod(lambda: {"licenses": [{"licenseId": "MIT"}]})
from platformio.__main__ import main
sys.exit(main(["pio", *sys.argv[1:]]))
"""
    python = Path(program).read_text().splitlines()[0].removeprefix("#!")
    for name in LIBRARIES:
        library = folder / "platformio" / "lib" / name
        command = [python, "-c", start, "pkg", "pack", str(library), "-o", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / f"{name}-0.1.0.tar.gz").is_file()


@pytest.mark.slow
def test_components_of_esp_idf(folder: Path, tmp_path: Path) -> None:
    if shutil.which("compote") is None:
        pytest.skip("compote is not on this machine; pip install idf-component-manager")
    copy = Path(shutil.copytree(folder / "esp-idf" / "components", tmp_path / "components"))
    for name in LIBRARIES:
        for command in (["manifest", "lint"], ["component", "pack", "--name", name]):
            done = subprocess.run(
                ["compote", "-W", *command],
                cwd=copy / name,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        assert (copy / name / "dist" / f"{name}_0.1.0.tgz").is_file()


def test_modules_of_zephyr(folder: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="pip install pyyaml")
    for name in LIBRARIES:
        module = folder / "zephyr" / name
        content = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
        needs = {} if name == "edge_seq" else {"depends": ["edge_seq"]}
        assert content.pop("samples", None) == (None if name == "edge_seq" else ["samples"])
        assert content == {"name": name, "build": {"cmake": ".", "kconfig": "Kconfig", **needs}}
        assert (module / "CMakeLists.txt").is_file()
        if needs:
            sample = yaml.safe_load((module / "samples" / "replay" / "sample.yaml").read_text())
            assert list(sample["tests"]) == [f"sample.{name}.replay"]


def test_kconfig_of_zephyr(folder: Path, tmp_path: Path) -> None:
    kconfiglib = pytest.importorskip("kconfiglib", reason="pip install kconfiglib")
    root = tmp_path / "Kconfig"
    root.write_text("".join(f'source "{folder / "zephyr" / name / "Kconfig"}"\n' for name in LIBRARIES))
    kconfig = kconfiglib.Kconfig(str(root))
    assert kconfig.syms["EDGE_SEQ"].str_value == "n"
    kconfig.load_config(str(folder / "zephyr" / "edge_seq_car" / "samples" / "replay" / "prj.conf"))
    symbols = ("EDGE_SEQ", "EDGE_SEQ_CAR", "EDGE_SEQ_GAIT")
    assert [kconfig.syms[symbol].str_value for symbol in symbols] == ["y", "y", "n"]
    assert [warning for warning in kconfig.warnings if "MAIN_STACK_SIZE" not in warning] == []


def test_packs_of_cmsis(folder: Path) -> None:
    packs = sorted((folder / "cmsis-pack").glob("*.pack"))
    assert [pack.name for pack in packs] == [
        f"edge_seq.{name}.0.1.0.pack" for name in ("car", "edge_seq", "gait")
    ]  # <vendor>.<name>.<version>.pack
    components = set()
    needed = set()
    for pack in packs:
        archive = zipfile.ZipFile(io.BytesIO(pack.read_bytes()))
        assert archive.testzip() is None
        names = archive.namelist()
        (description,) = [name for name in names if name.endswith(".pdsc")]
        root = ElementTree.fromstring(archive.read(description))
        vendor, name = root.findtext("vendor"), root.findtext("name")
        release = root.find("releases/release")
        assert release is not None
        assert f"{vendor}.{name}.pdsc" == description
        assert f"{vendor}.{name}.{release.get('version')}.pack" == pack.name
        listed = [str(file.get("name")) for file in root.iter("file")]
        assert all(file in names or any(one.startswith(file) for one in names) for file in listed)
        sources = {one for one in names if one.endswith(".c")}
        assert sources == {file for file in listed if file.endswith(".c")}, "every C file is built"
        components |= {tuple(one.get(key) for key in ("Cclass", "Cgroup", "Csub")) for one in root.iter("component")}
        needed |= {tuple(one.get(key) for key in ("Cclass", "Cgroup", "Csub")) for one in root.iter("require")}
    assert {sub for _, _, sub in components} == {"Runtime", "car", "gait"}
    assert needed <= components
