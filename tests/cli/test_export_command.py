"""edge-seq export --package: what is written, what verify sees of it, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

from edge_seq.ir.serialize import load_int_model
from edge_seq.parity.export_rungs import changed_files
from edge_seq.workflow.export import export_run, render_run
from edge_seq.workflow.folder import open_run
from tests.cli.conftest import Small, edge_seq, ok


def changed(folder: Path) -> tuple[str, ...]:
    """Exported files that are not what the run's models give, as verify reports them."""
    run = open_run(folder)
    return changed_files(run.exports.path, render_run(run, load_int_model(run.int_model)))


def test_packages_of_a_run(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    written = ok("export", run, "--package", "plain", "--package", "arduino", "--json").json["files"]
    packages = run / "exports" / "packages"
    assert sorted(path.name for path in packages.iterdir()) == ["arduino", "plain"]
    assert "exports/packages/plain/examples/small_replay.c" in written
    assert changed(run) == ()
    shown = ok("export", run).out
    assert "exports/packages/arduino" in shown
    assert "packages/plain/small.c" not in shown, "a package is one line"

    model = packages / "plain" / "small.c"
    model.write_text(model.read_text() + "/* edited */\n")
    (packages / "plain" / "edge_seq.h").unlink()
    assert changed(run) == ("packages/plain/edge_seq.h", "packages/plain/small.c")
    export_run(open_run(run))  # without the option: what is there is written again
    assert changed(run) == ()


def test_a_package_that_does_not_exist(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    refused = edge_seq("export", run, "--package", "make")
    assert refused.code == 2
    assert "package 'make' does not exist. Packages: arduino, cmake, cmsis-pack, esp-idf" in refused.err
    assert not (run / "exports" / "packages").exists()
