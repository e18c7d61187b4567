"""The wheel: all that the package needs is in it, and it passes a demo where there is no repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge_seq", "firmware_export")
# For the linter of the C sources; nothing in the package reads them.
NOT_SHIPPED = {"firmware_export/MISRA.md", "firmware_export/misra_suppressions.txt"}
# As short as a demo can be that passes.
QUICK = (
    "training.epochs=3",
    "data.simulator.drives=12",
    "data.simulator.drive_duration_s=120",
    "quantization.min_agreement_rate=0.9",
    "quantization.max_macro_f1_loss=0.1",
)


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed, without what this process has of its own repository."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sources() -> list[str]:
    """Files that belong to the repository; a build folder of an earlier release does not."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git repository, which says what belongs to it")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(sources: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as a build leaves its own folders beside the sources."""
    copy, output = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in sources:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", output, ".", cwd=copy)
    (built,) = output.glob("*.whl")
    return built


def test_every_file_of_the_packages_is_in_the_wheel(sources: list[str], wheel: Path) -> None:
    expected = {name for name in sources if name.startswith(tuple(f"{package}/" for package in PACKAGES))}
    assert expected >= NOT_SHIPPED
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert sorted(expected - NOT_SHIPPED - shipped) == []
    assert sorted(shipped - expected) == []
    for name in ("runtime/include/edge_seq.h", "runtime/port/bare/es_link.ld", "targets/cortex_m4.toml"):
        assert f"firmware_export/{name}" in shipped
    assert {"edge_seq/live/web/page.html", "edge_seq/live/web/view.js", "edge_seq/report/report.css"} <= shipped


def test_a_demo_passes_where_there_is_no_repository(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints" / "tested.txt", f"{wheel}[train,targets]", cwd=elsewhere)
    place = run(programs / "python", "-c", "import edge_seq; print(edge_seq.__file__)", cwd=elsewhere)
    assert Path(place.strip()).is_relative_to(tmp_path / "venv")
    run(programs / "edge-seq", "demo", "--out", "runs", *(f"--set={one}" for one in QUICK), cwd=elsewhere)
    verified = run(programs / "edge-seq", "verify", "runs/gru", "--target", "cortex_m4", "--json", cwd=elsewhere)
    ladder = json.loads(verified)
    assert ladder["holds"]
    (on_target,) = [rung for rung in ladder["rungs"] if "cortex_m4" in rung["name"]]
    assert on_target["verdict"] == "holds"
    assert on_target["comparison"]["values"] > 10_000
