"""edge-seq export --package: what is written, what verify sees of it, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from edge_seq.ir.model import model_hash
from edge_seq.ir.serialize import load_float_model, load_int_model, load_model, save_model
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


def test_files_of_a_model_with_another_name_are_removed(small: Small, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small.run, tmp_path / "run"))
    ok("export", run, "--package", "cmake")
    before = {path for path in (run / "exports").rglob("*") if path.is_file()}
    own = run / "exports" / "c" / "mine.c"
    own.write_text("/* not of an export */\n")
    edited = run / "exports" / "c" / "small_golden.h"
    edited.write_text(edited.read_text() + "/* edited */\n")
    for name in ("model.float.safetensors", "model.int.safetensors"):
        save_model(replace(load_model(run / name), name="renamed"), run / name)
    table = json.loads((run / "quantization.json").read_text())
    table["float_model_hash"] = model_hash(load_float_model(run / "model.float.safetensors"))
    (run / "quantization.json").write_text(json.dumps(table))
    done = ok("export", run)
    shown = "".join(done.out.split())
    assert "removed,asthisexporthasthemnomore:exports/c/small.c,exports/c/small.h,exports/c/small_golden.c," in shown
    assert "changedsinceanearlieroneandleft:exports/c/small_golden.h" in shown
    after = {path for path in (run / "exports").rglob("*") if path.is_file()}
    assert {path.name for path in after if "small" in path.as_posix().removeprefix(str(run))} == {"small_golden.h"}
    assert own.is_file()
    assert not list((run / "exports").rglob("edge_seq_small"))
    assert len(after) == len(before) + 2
    assert changed(run) == ()
