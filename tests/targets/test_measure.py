"""The figures of `measure` agree with the linked image and with the emulators."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_seq.ir.front import TimePool
from edge_seq.support.errors import ToolError
from firmware_export.emission.emit import export_c
from firmware_export.emission.golden import make_golden
from firmware_export.measuring.measure import check_budgets, estimate_latency, measure
from firmware_export.measuring.reference_models import SHAPES, Shape, reference_counts, reference_model
from firmware_export.measuring.report import measured_figures
from firmware_export.measuring.sizes import measure_sizes
from firmware_export.measuring.stack import DeepestStack, Frames, deepest, deepest_stack, read_frames
from firmware_export.measuring.step_counts import counts_by_place, stream_for_counting
from firmware_export.running.run_target import build_for_target
from firmware_export.toolchain.budgets import Budgets, first_of
from firmware_export.toolchain.host import read_manifest
from firmware_export.toolchain.image import Image, build_image
from firmware_export.toolchain.target import MissingToolError, load_target, target_names
from tests import zoo

SMALL = Shape(3, 6, 5, 3)
OF_EACH_KIND = ("cortex_m0", "cortex_m4", "cortex_m55", "riscv32imc", "atmega2560")
BARE = [name for name in target_names() if load_target(name).memory is not None]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of each cell, and the car's LSTM, by name."""
    root = tmp_path_factory.mktemp("exports")
    models = {cell: reference_model("car", cell, shape=SMALL) for cell in ("lstm", "gru", "rnn")}
    for cell, model in models.items():
        export_c(model, make_golden(model, reference_counts(SMALL, windows=1)), root / cell)
    return {cell: root / cell for cell in models}


def image_of(folder: Path, output: Path, name: str = "cortex_m4") -> Image:
    try:
        built = build_for_target(folder, output, load_target(name), stack_figures=True).built
    except MissingToolError as error:
        pytest.skip(str(error))
    assert isinstance(built, Image)
    return built


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        # By default two cells on one target, and one cell on a target of each other kind.
        pytest.param(
            name,
            cell,
            marks=()
            if (cell == "lstm" and name in OF_EACH_KIND) or (name, cell) == ("cortex_m4", "gru")
            else pytest.mark.slow,
        )
        for name in BARE
        for cell in ("lstm", "gru", "rnn")
    ],
)
def test_every_bare_target(name: str, cell: str, exports: dict[str, Path]) -> None:
    """The worst-case stack bounds the observed stack closely; a window is the sum of its steps."""
    model = reference_model("car", cell, shape=SMALL)
    try:
        found = measure(exports[cell], model, load_target(name), steps=20)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.sizes is not None
    assert found.steps is not None
    assert found.steps.steps == 20
    assert [one.name for one in found.steps.classes] == ["first", "between", "last"]
    assert (found.instructions is None) == (found.cycles is not None)
    assert found.stack is not None
    assert found.stack.unknown == ()
    if found.steps.stack_bytes is not None:
        assert found.steps.stack_bytes <= found.stack.bytes <= found.steps.stack_bytes + 64
    assert found.latency is not None
    assert 0 < found.latency.lowest_us <= found.latency.highest_us


@pytest.mark.parametrize(
    "name",
    ["cortex_m4", "atmega2560", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cortex_m0", "riscv32imc"))],
)
def test_sizes_are_those_of_the_linked_image(name: str, exports: dict[str, Path], tmp_path: Path) -> None:
    image = image_of(exports["lstm"], tmp_path, name)
    elf = image.content
    sizes = measure_sizes(elf, image.names)
    loaded = sum(len(data) for _, data in elf.segments)
    harness = [section for section in elf.sections if section.name.startswith((".harness", ".stack"))]
    gaps = 16  # alignment between sections
    assert 0 <= loaded - sum(section.flash_bytes for section in harness) - sizes.flash <= gaps
    in_ram = sum(section.size for section in elf.sections if section.in_ram)
    assert sizes.ram == in_ram - sum(section.size for section in harness if section.in_ram)
    stated = read_manifest(exports["lstm"])["bytes"]
    assert sizes.weights == stated["weights"]
    if name != "atmega2560":  # pointers of 32 bits, and constants stay in flash
        assert sizes.ram == stated["context_32bit"]
    named = sum(size for _, size in sizes.flash_symbols)
    assert named <= sizes.flash  # the rest has no symbols: literals, texts


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("name", ["cortex_m3", "cortex_m4", "cortex_m7", "cortex_m33", "cortex_m55"])
@pytest.mark.slow
def test_a_step_takes_as_long_whatever_the_data(name: str, cell: str, tmp_path: Path) -> None:
    model = reference_model("car", cell)
    export_c(model, make_golden(model, reference_counts(SHAPES["car"], windows=1)), tmp_path)
    try:
        found = measure(tmp_path, model, load_target(name), steps=10_000)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    assert found.steps.steps == 10_000
    assert found.steps.constant, found.steps.classes


@pytest.mark.parametrize("cell", ["lstm", *(pytest.param(cell, marks=pytest.mark.slow) for cell in ("gru", "rnn"))])
def test_a_few_steps_take_as_long_whatever_the_data(cell: str, exports: dict[str, Path]) -> None:
    model = reference_model("car", cell, shape=SMALL)
    try:
        found = measure(exports[cell], model, load_target("cortex_m4"), steps=300)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    assert found.steps.constant, found.steps.classes


def test_a_branch_on_data_is_seen_and_ends_the_count_unless_steps_are_asked_for(
    exports: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(exports["lstm"], tmp_path / "export"))
    source = folder / "runtime" / "src" / "es_preprocess.c"
    text = source.read_text()
    before = "        *memory += es_shift_right("
    assert before in text
    planted = "        if (count > 100) { volatile int n = 3; while (n > 0) { n--; } }\n"
    source.write_text(text.replace(before, planted + before))
    model, target = reference_model("car", "lstm", shape=SMALL), load_target("cortex_m4")
    try:
        found = measure(folder, model, target)
        asked = measure(folder, model, target, steps=500)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    assert not found.steps.constant
    assert found.steps.steps == -(-400 // SMALL.time_steps) * SMALL.time_steps
    (note,) = measured_figures(found).notes
    assert note == (
        f"stopped after {found.steps.steps} of 10,000 steps: their cost depends on the data, so no number of steps "
        "gives its bound; --steps 10000 counts them all"
    )
    assert asked.steps is not None
    assert asked.steps.steps == -(-500 // SMALL.time_steps) * SMALL.time_steps
    assert asked.notes == ()


DEEP = """
#include "edge_seq.h"
__attribute__((noipa)) static int third(volatile int *at)
{
    volatile char room[%d];
    room[0] = 1;
    return *at + room[0];
}
__attribute__((noipa)) static int second(volatile int *at)
{
    volatile char room[100];
    room[1] = 2;
    return third(at) + room[1];
}
"""


def with_deep_call(folder: Path, output: Path, room: str) -> Path:
    """A copy of an export in which a step calls two functions with arrays of known size."""
    import shutil

    copy = Path(shutil.copytree(folder, output))
    source = copy / "runtime" / "src" / "es_pool.c"
    text = source.read_text()
    before = "    (void)label_due;\n    return operands;"
    assert before in text
    call = "    { volatile int one = label_due; (void)second(&one); }\n    return operands;"
    source.write_text(DEEP.replace("%d", room) + text.replace(before, call))
    return copy


CHAINS = {
    "dense": zoo.spec("gru", 5, dense=((6, "relu"), (5, "tanh")), pooling="mean_max"),
    "front": zoo.spec("lstm", 5, front=(zoo.convolution(4, "relu", 3), TimePool("max", 2, 2))),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_the_stack_of_layers_around_the_recurrent_ones_has_a_bound(chain: str, tmp_path: Path) -> None:
    """Their pool calls the pool of the model through a pointer, which is no recursion."""
    model = zoo.quantized_model(CHAINS[chain], name="chain")
    export_c(model, make_golden(model, zoo.random_counts(2, 7, 3)), tmp_path / "c")
    try:
        found = measure(tmp_path / "c", model, load_target("cortex_m4"), steps=20)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.steps is not None
    assert found.stack is not None
    assert found.stack.unknown == ()
    assert found.steps.stack_bytes is not None
    assert found.steps.stack_bytes <= found.stack.bytes <= found.steps.stack_bytes + 96


def test_a_stack_that_is_too_deep_is_told_with_its_path(exports: dict[str, Path], tmp_path: Path) -> None:
    model = reference_model("car", "rnn", shape=SMALL)
    target = load_target("cortex_m4")
    try:
        plain = measure(exports["rnn"], model, target, steps=1)
        found = measure(with_deep_call(exports["rnn"], tmp_path / "deep", "1000"), model, target, steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert plain.stack is not None
    assert found.stack is not None
    assert [name for name, _ in found.stack.path] == ["es_step", "es_pool_last", "second", "third"]
    frames = dict(found.stack.path)
    assert 1000 <= frames["third"] <= 1032
    assert 100 <= frames["second"] <= 132
    assert found.steps is not None
    assert found.steps.stack_bytes == pytest.approx(found.stack.bytes, abs=1000)  # the arrays are not written to
    assert found.steps.stack_bytes > plain.stack.bytes
    (overrun,), _ = check_budgets(found, Budgets(max_stack=plain.stack.bytes))
    over = found.stack.bytes - plain.stack.bytes
    assert f"{over:,} over. third ({frames['third']:,}) costs most" in str(overrun)
    assert check_budgets(found, Budgets(max_stack=found.stack.bytes)) == ([], [])


def test_a_frame_without_a_bound_is_refused(exports: dict[str, Path], tmp_path: Path) -> None:
    image = image_of(with_deep_call(exports["rnn"], tmp_path / "deep", "1 + (*at & 7)"), tmp_path / "built")
    with pytest.raises(ToolError, match=r"frame of third has no bound; use no arrays of variable size"):
        deepest_stack(image)


def test_figures_that_the_compiler_does_not_write(exports: dict[str, Path], tmp_path: Path) -> None:
    try:
        image = build_image(exports["rnn"], tmp_path, load_target("cortex_m4"), compiler="zig", stack_figures=True)
    except MissingToolError as error:
        pytest.skip(str(error))
    with pytest.raises(ToolError, match=r"stack on cortex_m4: zig wrote no figures; gcc does"):
        deepest_stack(image)


def test_figures_that_are_lost_on_the_way(exports: dict[str, Path], tmp_path: Path) -> None:
    """A cache that restores only objects: machine code shows the frames, but not all calls."""
    image = image_of(exports["rnn"], tmp_path)
    assert deepest_stack(image).bytes > 0
    for figures in image.objects.glob("*_es_rnn*.[cs][iu]"):
        figures.unlink()
    with pytest.raises(
        ToolError, match=r"gcc wrote no figures beside \d+_es_rnn\.o, .* a compiler cache may lose them"
    ):
        deepest_stack(image)


def test_a_bound_below_what_was_seen_is_none(exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = reference_model("car", "rnn", shape=SMALL)
    monkeypatch.setattr("firmware_export.measuring.measure.deepest_stack", lambda _: DeepestStack(8, (("es_step", 8),)))
    try:
        found = measure(exports["rnn"], model, load_target("cortex_m4"), steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.stack is None
    assert found.steps is not None
    assert found.stack_bytes == found.steps.stack_bytes
    (note,) = (note for note in found.notes if note.startswith("worst-case stack"))
    assert "bytes were observed, more than the 8 along es_step; the call graph lacks a call" in note


def test_recursion_has_no_bound_and_the_deepest_path_wins() -> None:
    calls = {"a": frozenset({"b", "c"}), "b": frozenset({"d"}), "c": frozenset(), "d": frozenset()}
    frames = Frames({"a": 8, "b": 16, "c": 40, "d": 32}, calls)
    assert deepest(frames, "a").path == (("a", 8), ("b", 16), ("d", 32))
    assert deepest(frames, "a").bytes == 56
    with pytest.raises(ToolError, match="a calls b calls d calls a: a recursion"):
        deepest(Frames(frames.bytes_of, {**calls, "d": frozenset({"a"})}), "a")
    assert deepest(Frames({"a": 8}, {"a": frozenset({"memcpy"})}), "a").unknown == ("memcpy",)


def test_naked_kernels_have_the_frame_that_they_push(exports: dict[str, Path], tmp_path: Path) -> None:
    """The kernel pushes nine registers and copies 18 words, which the compiler does not know."""
    image = image_of(exports["lstm"], tmp_path)
    frames = read_frames(image, image.content)
    assert frames.bytes_of["es_lstm_units"] == 9 * 4 + 18 * 4


def test_budgets_name_the_symbol_that_costs_most(exports: dict[str, Path]) -> None:
    model = reference_model("car", "lstm", shape=SMALL)
    try:
        found = measure(exports["lstm"], model, load_target("cortex_m4"), steps=1)
        on_avr = measure(exports["lstm"], model, load_target("atmega2560"), steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert found.sizes is not None
    tight = Budgets(max_flash=100, max_ram=10, max_stack=20, max_instructions=30)
    overruns, unchecked = check_budgets(found, tight)
    assert unchecked == []
    by_name = {overrun.budget: overrun for overrun in overruns}
    assert set(by_name) == {"max_flash", "max_ram", "max_stack", "max_instructions"}
    assert by_name["max_ram"].costliest == f"es_image_contexts ({found.sizes.ram})"
    assert by_name["max_instructions"].costliest.startswith("es_lstm_units (")
    text = str(by_name["max_flash"])
    assert text.startswith(
        f"cortex_m4: max_flash is 100, found {found.sizes.flash:,}: {found.sizes.flash - 100:,} over"
    )
    exact = Budgets(max_flash=found.sizes.flash, max_ram=found.sizes.ram)
    assert check_budgets(found, exact) == ([], [])
    assert check_budgets(on_avr, Budgets(max_instructions=1)) == ([], ["max_instructions"])


def test_the_first_budget_that_is_given_counts() -> None:
    merged = first_of(Budgets(max_ram=1), Budgets(max_ram=2, max_flash=3), Budgets(max_stack=4, max_flash=5))
    assert merged == Budgets(max_ram=1, max_flash=3, max_stack=4)


def test_an_estimate_says_what_it_rests_on(exports: dict[str, Path]) -> None:
    model = reference_model("car", "rnn", shape=SMALL)
    target = load_target("cortex_m4")
    try:
        found = measure(exports["rnn"], model, target, steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert target.clock is not None
    assert found.steps is not None
    assert found.instructions is not None
    low, high = target.clock.cycles_per_instruction
    latency = estimate_latency(found.steps, target.clock)
    assert latency.lowest_us == pytest.approx(found.instructions * low / 80)
    assert latency.highest_us == pytest.approx(found.instructions * high / 80)
    assert latency.assumption.startswith("at 80 MHz, 1.5 to 2.5 cycles an instruction: in order")


def test_what_has_no_image_is_not_measured(exports: dict[str, Path]) -> None:
    model = reference_model("car", "rnn", shape=SMALL)
    found = measure(exports["rnn"], model, load_target("host"), steps=1)
    assert (found.sizes, found.stack_bytes, found.instructions, found.cycles, found.latency) == (None,) * 5
    assert "not measured: a program of an operating system" in found.notes[0]


@pytest.mark.slow
def test_webassembly_is_not_measured(exports: dict[str, Path]) -> None:
    model = reference_model("car", "rnn", shape=SMALL)
    try:
        found = measure(exports["rnn"], model, load_target("wasm32"), steps=1)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert (found.sizes, found.stack_bytes, found.instructions, found.latency) == (None,) * 4
    assert found.notes == ("not measured: WebAssembly is compiled for the processor that it runs on",)


@pytest.mark.parametrize(
    "name", ["aarch64", *(pytest.param(name, marks=pytest.mark.slow) for name in ("armhf", "powerpc"))]
)
def test_the_instructions_of_a_program_are_counted(name: str, exports: dict[str, Path]) -> None:
    """QEMU's user mode gives instructions only, by step and by function."""
    model = reference_model("car", "lstm", shape=SMALL)
    try:
        found = measure(exports["lstm"], model, load_target(name), steps=20)
    except MissingToolError as error:
        pytest.skip(str(error))
    assert (found.sizes, found.stack_bytes, found.cycles, found.latency) == (None,) * 4
    assert found.notes[0].startswith("flash, RAM, stack and latency not measured: a program of an operating system")
    assert measured_figures(found).status == "counted"
    assert found.steps is not None
    assert found.steps.steps == 20
    assert [one.name for one in found.steps.classes] == ["first", "between", "last"]
    one_window = sum(found.steps.by_function.values())  # the limits in plain C are branches: a step depends on the data
    assert found.steps.minimum.sum() <= one_window <= found.steps.maximum.sum()
    kernel = "es_rows4_narrow" if name == "powerpc" else "es_lstm_step"
    assert found.steps.by_function.most_common(1)[0][0] == kernel
    assert check_budgets(found, Budgets(max_flash=1, max_instructions=10))[1] == ["max_flash"]


def test_steps_by_place() -> None:
    minimum, maximum, steps = counts_by_place([5, 3, 3, 9, 5, 3, 4, 9, 5], 4)
    assert (minimum.tolist(), maximum.tolist(), steps) == ([5, 3, 3, 9], [5, 3, 4, 9], 8)
    model = reference_model("car", "rnn", shape=SMALL)
    stream = stream_for_counting(model, 61)
    assert stream.shape == (SMALL.time_steps * 14, 3)
    assert (stream.min(), stream.max()) == (-(2**15), 2**15 - 1)
