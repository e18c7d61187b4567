"""Our counts and those of an independent counter (QEMU with a plugin of its own, its own start and linker script)."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edge_seq.ir.kind_names import CellName
from firmware_export.emission.ctext import array
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import measure
from firmware_export.measuring.reference_models import SHAPES, reference_counts, reference_model
from firmware_export.measuring.step_counts import stream_for_counting
from firmware_export.toolchain.host import read_manifest
from firmware_export.toolchain.target import MissingToolError, find_target_compiler, load_target

COUNTER = Path(__file__).parents[3] / "shared" / "tools" / "count_instructions"
HARNESS = ("main", "bench_begin", "bench_end")
MAIN = """
#include "bench.h"
#include "car.h"
static car_memory_t memory;
int main(void)
{
    es_context_t *context;
    const int16_t *at = counts;
    unsigned t;
    if (es_init(&car_model, &memory, sizeof memory, &context) != ES_OK) return 1;
    for (t = 0; t < CAR_WINDOW_LENGTH; t++, at += CAR_NUM_CHANNELS) es_step(context, at);
    bench_begin();
    for (t = 0; t < CAR_WINDOW_LENGTH; t++, at += CAR_NUM_CHANNELS) es_step(context, at);
    bench_end();
    return 0;
}
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A copy of the counter, as it builds its plugin in its own folder."""
    if not (COUNTER / "emu.py").is_file():
        pytest.skip("the independent counter is not here: ../shared/tools/count_instructions beside the repository")
    for tool in ("qemu-system-arm", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; the independent counter needs it")
    folder = Path(shutil.copytree(COUNTER, tmp_path_factory.mktemp("counter") / "emu"))
    spec = importlib.util.spec_from_file_location("independent_counter", folder / "emu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("cortex_m4", "m4"),
        ("cortex_m3", "m3"),
        *(
            pytest.param(name, theirs, marks=pytest.mark.slow)
            for name, theirs in (("cortex_m0", "m0"), ("cortex_m55", "m55"))
        ),
    ],
)
def test_the_same_count(counter: ModuleType, name: str, theirs: str, cell: CellName, tmp_path: Path) -> None:
    target = load_target(name)
    try:
        find_target_compiler(target, "arm-none-eabi-gcc")
        model = reference_model("car", cell)
        export_c(model, make_golden(model, reference_counts(SHAPES["car"], windows=1)), tmp_path / "export")
        found = measure(tmp_path / "export", model, target, steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    export = tmp_path / "export"
    counts = array("int16_t", "counts", stream_for_counting(model, 1).ravel(), shape="[2 T, C]")
    (tmp_path / "main.c").write_text("#include <stdint.h>\n" + counts + MAIN)
    sources = [export / source for source in read_manifest(export)["sources"]]
    elf = counter.build(
        theirs,
        tmp_path / "independent",
        [*sources, tmp_path / "main.c"],
        opt=target.optimization,
        includes=[export, export / "runtime/include", export / "runtime/src"],
        extra=["-std=c99", "-ffreestanding"],
    )
    result = counter.run(theirs, elf)
    functions = {function: times for function, times in result["by_function"].items() if function not in HARNESS}
    sys.stdout.write(f"{name} {cell}: ours {found.instructions}, theirs {result['regions'][0]} with the harness\n")
    assert functions == dict(found.steps.by_function)
    # The remaining difference: the two markers, and a loop of some instructions per step.
    harness = result["regions"][0] - found.instructions
    assert 0 < harness < 10 * model.contract.window_length
