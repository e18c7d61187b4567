"""A second implementation of firmware_export/SPEC.md, written from its text alone.

Scalar, slow and obvious: Python integers and floor division, no numpy arithmetic, no function of edge_seq. Whatever the
specification calls 16 or 32 bits wide is checked to be so at each use, so a value that outgrows its type is an
:class:`OutOfRangeError` here and not a silently longer integer.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field

from edge_seq.ir.front import Conv, TimePool
from edge_seq.ir.kinds import FastGrnn, Gru, Lstm, Rnn
from edge_seq.ir.model import IntModel
from edge_seq.ir.rows import IntRows

TABLE_SHA256 = "08c3ad64cdbabb285b9bc0319b41a008a03b2107a9ea0cdf462ef4573218bdd2"
NO_LABEL = -1  # section 11


class OutOfRangeError(Exception):
    """A value does not fit the type that the specification gives it."""


# Section 1: types


def s16(value: int) -> int:
    """``value``, which must be a signed 16-bit integer."""
    if not -(2**15) <= value < 2**15:
        raise OutOfRangeError(f"{value} does not fit 16 bits")
    return value


def s32(value: int) -> int:
    """``value``, which must be a signed 32-bit integer."""
    if not -(2**31) <= value < 2**31:
        raise OutOfRangeError(f"{value} does not fit 32 bits")
    return value


# Section 2: primitives


def mulw(a: int, m: int) -> int:
    """floor(a m / 2^16) by the two halves of the specification, so that 32 bits are enough."""
    high, low = s32(a) // 2**16, a % 2**16
    result = s32(s32(high * s16(m)) + s32(low * m) // 2**16)
    if result != a * m // 2**16:
        raise OutOfRangeError(f"the halves of mulw({a}, {m}) do not make floor(a m / 2^16)")
    return result


def rshift(a: int, n: int) -> int:
    """floor((a + floor(2^n / 2)) / 2^n)."""
    return s32(s32(a) + 2**n // 2) // 2**n


def clamp(a: int, low: int, high: int) -> int:
    """The nearest value in [low, high]."""
    return low if a < low else high if a > high else a


def sat16(a: int) -> int:
    return clamp(s32(a), -32768, 32767)


def arg(a: int) -> int:
    return clamp(s32(a), 0, 2**20 - 1)


# Section 5: the table


def build_table() -> list[tuple[int, int]]:
    """256 pairs (base, slope), from the formulas; their SHA-256 is checked."""
    bases = []
    for k in range(257):
        y = math.tanh(-8 + k / 16)
        second_derivative = -2 * y * (1 - y * y)
        bases.append(clamp(math.floor(32768 * (y - second_derivative * (1 / 16) ** 2 / 16) + 1), -32767, 32767))
    table = [(bases[k], 16 * (bases[k + 1] - bases[k])) for k in range(256)]
    for base, slope in table:
        s16(base)
        if not 0 <= slope <= 32767:
            raise OutOfRangeError(f"slope {slope}")
    words = b"".join(struct.pack("<I", (base * 2**16 + slope) % 2**32) for base, slope in table)
    found = hashlib.sha256(words).hexdigest()
    if found != TABLE_SHA256:
        raise OutOfRangeError(f"SHA-256 of the table is {found}")
    return table


TABLE = build_table()


def tanh(a: int) -> int:
    k, f = a // 2**12, a % 2**12
    base, slope = TABLE[k]
    value = s16(base + s32(slope * (f + 1)) // 2**16)
    if not -32767 <= value <= 32767:
        raise OutOfRangeError(f"tanh({a}) is {value}")
    return value


def sig(a: int) -> int:
    value = tanh(a) // 2 + 16384
    if not 0 <= value <= 32767:
        raise OutOfRangeError(f"sig({a}) is {value}")
    return value


# Section 3: preprocessing


def companded(f: int, k: int) -> int:
    """sign(f) (2048 (e - k) + floor(2048 (u - 2^e) / 2^e))."""
    u = abs(s16(f)) + 2**k
    e = max(n for n in range(k, 16) if 2**n <= u)
    magnitude = s16(2048 * (e - k) + s32(2048 * (u - 2**e)) // 2**e)
    return magnitude if f >= 0 else -magnitude


def length(f: list[int]) -> int:
    """min(floor(sqrt(x^2 + y^2 + z^2)), 32767)."""
    return min(math.isqrt(sum(s16(a) ** 2 for a in f)), 32767)


# Section 4: operands and rows


def coarse(j: int) -> bool:
    return j % 4 in (2, 3)


def operand(h: int, j: int) -> int:
    return rshift(s16(h), 8) if coarse(j) else s16(h)


def padded(values: list[int]) -> list[int]:
    return values + [0] * (-len(values) % 4)


def checked_operands(values: list[int]) -> list[int]:
    for j, value in enumerate(values):
        s16(value)
        if coarse(j) and not -128 <= value <= 128:
            raise OutOfRangeError(f"coarse operand {j} is {value}")
    return values


def narrow_value(b: list[int], j: int) -> int:
    """The value that the narrow weight of column j stands for."""
    return s16(256 * b[j] + b[j - 2] % 256) if coarse(j) else b[j]


def row_result(rows: IntRows, r: int, features: list[int], below: list[int], own: list[int]) -> int:
    """y of row ``r``: features (first layer), operands of the layer below, operands of this layer one step before."""
    wide, narrow_input, narrow_hidden = (
        rows.wide[r].tolist(),
        rows.narrow_input[r].tolist(),
        rows.narrow_hidden[r].tolist(),
    )
    acc = s32(int(rows.bias[r]))
    for parts in (
        [(s16(w), s16(q)) for w, q in zip(wide, features, strict=True)] if wide else [],
        [(narrow_value(narrow_input, j), z) for j, z in enumerate(padded(below))] if narrow_input else [],
        [(narrow_value(narrow_hidden, j), z) for j, z in enumerate(padded(own))] if narrow_hidden else [],
    ):
        for weight, value in parts:
            acc = s32(acc + s32(weight * value))
    multiplier = int(rows.multiplier[r])
    if not 1 <= multiplier <= 32767:
        raise OutOfRangeError(f"multiplier {multiplier}")
    return mulw(acc, multiplier)


def row_results(rows: IntRows, features: list[int], below: list[int], own: list[int]) -> list[int]:
    return [row_result(rows, r, features, below, own) for r in range(len(rows.bias))]


# Section 6: cells; what a step returns by name is section 11


def arguments(y: list[int]) -> list[int]:
    return [arg(a) for a in y]


@dataclass
class LayerMemory:
    """States of one layer: operands ``z`` [H]; ``h`` [H] of a GRU or FastGRNN; ``c`` [H] of an LSTM."""

    z: list[int]
    h: list[int]
    c: list[int]


Values = dict[str, list[int]]


def step_rnn(cell: Rnn[IntRows], memory: LayerMemory, features: list[int], below: list[int]) -> Values:
    y = arguments(row_results(cell.hidden, features, below, memory.z))
    memory.z = [operand(tanh(a), j) for j, a in enumerate(y)]
    return {"hidden": y, "hidden_state": memory.z}


def step_gru(cell: Gru[IntRows], memory: LayerMemory, features: list[int], below: list[int]) -> Values:
    y_reset = arguments(row_results(cell.reset_gate, features, below, memory.z))
    y_update = arguments(row_results(cell.update_gate, features, below, memory.z))
    y_new_input = row_results(cell.new_gate_input, features, below, [])
    y_new_hidden = row_results(cell.new_gate_hidden, [], [], memory.z)
    y_new, h_next = [], []
    for j, h in enumerate(memory.h):
        r = tanh(y_reset[j])
        total = s32(s32(y_new_input[j] + y_new_hidden[j] // 2) + mulw(y_new_hidden[j], r))
        n = arg(total)
        u = sig(y_update[j])
        y_new.append(n)
        h_next.append(s16(rshift(s32(s32(u * h) + s32((32767 - u) * tanh(n))), 15)))
    memory.h, memory.z = h_next, [operand(h, j) for j, h in enumerate(h_next)]
    return {
        "reset_gate": y_reset,
        "update_gate": y_update,
        "new_gate_hidden": y_new_hidden,
        "new_gate": y_new,
        "hidden_state": memory.h,
    }


def step_lstm(cell: Lstm[IntRows], memory: LayerMemory, features: list[int], below: list[int], e: int) -> Values:
    y = {
        name: arguments(row_results(getattr(cell, name), features, below, memory.z))
        for name in ("input_gate", "forget_gate", "cell_gate", "output_gate")
    }
    c_next, z_next = [], []
    for j, c in enumerate(memory.c):
        i, f, o = (sig(y[name][j]) for name in ("input_gate", "forget_gate", "output_gate"))
        g = tanh(y["cell_gate"][j])
        c_new = sat16(rshift(s32(s32(f * c) + s32(i * g) // 2 ** (15 - e)), 15))
        p = s32(o * tanh(arg(s32(s32(c_new * 2 ** (16 - e)) + 2**19))))
        c_next.append(s16(c_new))
        z_next.append(s16(rshift(p, 23) if coarse(j) else p // 2**15))
    memory.c, memory.z = c_next, z_next
    return {**y, "cell_state": memory.c, "hidden_state": memory.z}


def step_fastgrnn(cell: FastGrnn[IntRows], memory: LayerMemory, features: list[int], below: list[int]) -> Values:
    y = row_results(cell.new_gate, features, below, memory.z)
    zeta, nu = int(cell.zeta[0]), int(cell.nu[0])
    if not (0 <= zeta < 2**15 and 0 <= nu <= 2**30):
        raise OutOfRangeError(f"zeta {zeta}, nu {nu}")
    arg_update, h_next = [], []
    for j, h in enumerate(memory.h):
        d = int(cell.update_offset[j])
        if not -(2**30) <= d <= 2**30:
            raise OutOfRangeError(f"update offset {d}")
        arg_update.append(arg(s32(y[j] // 2 + d)))
        u = sig(arg_update[j])
        w = s32(s32(zeta * (32768 - u)) + nu)
        blend = s32(s32(u * h) // 2 + mulw(w, tanh(arg(y[j]))))
        h_next.append(s16(sat16(rshift(blend, 14))))
    memory.h, memory.z = h_next, [operand(h, j) for j, h in enumerate(h_next)]
    return {"update_gate": arg_update, "new_gate": arguments(y), "hidden_state": memory.h}


def activated(y: list[int], activation: str) -> list[int]:
    """Section 8: operands of results."""
    activations = {
        "relu": lambda a: clamp(a, 0, 32767),
        "none": sat16,
        "tanh": lambda a: tanh(arg(a)),
    }
    return checked_operands([operand(s16(activations[activation](a)), j) for j, a in enumerate(y)])


def step_conv(layer: Conv[IntRows], inputs: list[list[int]], first: bool) -> list[int]:
    """Section 6: the operands of a convolution after the latest of the inputs since the window began."""
    seen: list[int] = []
    for k in range(layer.kernel):
        at = len(inputs) - 1 - (layer.kernel - 1 - k) * layer.dilation
        before = list(layer.pad) if layer.pad else [0] * len(inputs[0])
        one = inputs[at] if at >= 0 else before
        seen += one if first else padded(one)
    y = row_results(layer.rows, seen, [], []) if first else row_results(layer.rows, [], seen, [])
    return activated(y, layer.activation)


def step_time_pool(layer: TimePool, inputs: list[list[int]]) -> list[int]:
    """Section 6: the operands of a pool over time."""
    columns = list(zip(*inputs[-layer.size :], strict=True))
    if layer.statistic == "max":
        return [max(column) for column in columns]
    log = layer.size.bit_length() - 1
    reciprocal = s16(2 ** (14 + log) // layer.size)
    return [s16(rshift(mulw(s32(4 * sum(column)), reciprocal), log)) for column in columns]


# Sections 3, 7, 8


@dataclass
class Oracle:
    """One stream through ``model``; :meth:`step` takes one sample and returns all values of that step."""

    model: IntModel
    memory: list[int] = field(default_factory=list)  # of the preprocessing; empty while unprimed
    layers: list[LayerMemory] = field(default_factory=list)
    total: list[int] = field(default_factory=list)  # S
    largest: list[int] = field(default_factory=list)  # M
    steps: int = 0  # of the recurrent layers since the window began
    given: list[list[int]] = field(default_factory=list)  # at each step, by the last layer that runs at each
    inputs: list[list[list[int]]] = field(default_factory=list)  # of each front layer, all since the window began
    outputs: list[list[list[int]]] = field(default_factory=list)
    seen: list[list[list[int]]] = field(default_factory=list)  # by each recurrent layer at its steps, in order of time
    t: int = 0
    s: list[int] = field(default_factory=list)  # of the decision stage, which a window's end does not touch
    e: int = 0
    d: int = 0
    p: int = 0
    r: int = 0
    primed: bool = False

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """All states, sums and counts are 0 and the preprocessing is unprimed."""
        sizes = self.model.hidden_sizes
        self.memory = []
        self.clear_pools()
        self.layers = [LayerMemory([0] * n, [0] * n, [0] * n) for n in sizes]
        self.seen, self.given = [[] for _ in sizes], []
        self.inputs, self.outputs = [[] for _ in self.model.front], [[] for _ in self.model.front]

    def clear_pools(self) -> None:
        """Sums, largest values and counts of a window are 0."""
        rows, size = self.rows_of_all_steps(), self.model.hidden_sizes[-1]
        if len(self.model.hidden_sizes) - 1 in self.model.backward:
            size *= 2
        self.total = [0] * (size if rows is None else len(rows.bias))
        self.largest, self.t, self.steps = [0] * size, 0, 0

    def rows_of_all_steps(self) -> IntRows | None:
        """Section 8: the rows that flatten gives all states of a window."""
        if self.model.readout.pooling != "flatten":
            return None
        return self.model.dense[0].rows if self.model.dense else self.model.head

    def of_this_step(self, rows: IntRows, z: list[int]) -> list[int]:
        """Section 8: what the step after ``steps`` steps adds to the results of these rows."""
        width = len(padded(z))
        columns = rows.narrow_input[:, self.steps * width : (self.steps + 1) * width]
        return row_results(IntRows(rows.wide, columns, rows.narrow_hidden, rows.bias, rows.multiplier), [], z, [])

    def results(self, rows: IntRows, v: list[int]) -> list[int]:
        """Results of a dense layer or of the head."""
        return list(self.total) if rows is self.rows_of_all_steps() else row_results(rows, [], v, [])

    def excess(self, v: list[list[int]], label: int) -> int:
        """Section 14: by how much ``v`` is beyond the label's radius."""
        stage = self.model.readout.decision
        assert stage is not None
        assert stage.unknown_distance is not None
        y = 0
        units = [(j, value) for part in v for j, value in enumerate(part)]
        for (j, value), c in zip(units, stage.unknown_distance.centroids[label], strict=True):
            in_q7 = value if coarse(j) else rshift(value, 8)
            if not -128 <= in_q7 <= 128:
                raise OutOfRangeError(f"unit {j} is {in_q7} in Q7")
            y = s32(y + abs(in_q7 - c))
        return s32(y - stage.unknown_distance.radii[label])

    def decide(self, logits: list[int], v: list[list[int]]) -> Values:
        """Section 14."""
        stage = self.model.readout.decision
        assert stage is not None
        top = max(logits)
        x = [max(s32(value - top), -(2**19)) for value in logits]
        if self.primed:
            self.s = [s + s32(a - s) // 2**stage.smoothing_shift for s, a in zip(self.s, x, strict=True)]
        else:
            self.s = x
        by_distance: Values = {}
        if stage.unknown_distance is not None:
            y = self.excess(v, logits.index(top))
            self.e = y if not self.primed else self.e + s32(y - self.e) // 2**stage.smoothing_shift
            if not -(2**18) <= self.e <= 2**18:
                raise OutOfRangeError(f"excess {self.e} left [-2^18, 2^18]")
            by_distance = {"excess": [self.e]}
        if not all(-(2**19) <= s <= 0 for s in self.s):
            raise OutOfRangeError(f"scores {self.s} left [-2^19, 0]")
        b = self.s.index(max(self.s))
        g = max(s for k, s in enumerate(self.s) if k != b)
        if self.s[b] - g < stage.unknown_margin or (by_distance and self.e > 0):
            q = 0
        elif self.d > 0 and self.s[b] - self.s[self.d - 1] < stage.hysteresis:
            q = self.d
        else:
            q = b + 1
        if q == self.d:
            self.r = 0
        elif q == self.p:
            self.r += 1
        else:
            self.r = 1
        self.p = q
        if self.r >= stage.min_labels or not self.primed:
            self.d, self.r = q, 0
        self.primed = True
        return {"scores": list(self.s), **by_distance, "decision": [len(logits) if self.d == 0 else self.d - 1]}

    def features(self, x: list[int]) -> list[int]:
        preprocessing = self.model.contract.preprocessing
        primed = bool(self.memory)
        match preprocessing.step:
            case "none":
                f = list(x)
            case "difference":
                f = [sat16(a - m) for a, m in zip(x, self.memory, strict=True)] if primed else [0] * len(x)
                self.memory = list(x)
            case "remove_gravity":
                s = preprocessing.gravity_shift
                if primed:
                    self.memory = [s32(m + s32(2**14 * a - m) // 2**s) for a, m in zip(x, self.memory, strict=True)]
                else:
                    self.memory = [2**14 * a for a in x]
                f = [sat16(a - rshift(m, 14)) for a, m in zip(x, self.memory, strict=True)]
        if preprocessing.magnitude:
            names = [one.name for one in self.model.contract.channels]
            stems = [name[:-1] for name in names if name.endswith("x")]
            f = f + [length([f[names.index(stem + axis)] for axis in "xyz"]) for stem in stems]
        k = preprocessing.companding
        if k is not None:
            f = [companded(a, k) for a in f]
        shifts = self.model.number_format.input_shift
        return [sat16(s32(a * 2**shift)) for a, shift in zip(f, shifts, strict=True)]

    def mean(self) -> list[int]:
        if self.steps == 0:
            return [0] * len(self.total)
        log = self.steps.bit_length() - 1
        reciprocal = s16(2 ** (14 + log) // self.steps)
        return [s16(rshift(mulw(s32(4 * a), reciprocal), log)) for a in self.total]

    def pooled(self) -> Values:
        """Section 8: what the head sees, by name; empty for ``last``."""
        return {
            "last": lambda: {},
            "flatten": lambda: {},
            "mean": lambda: {"pooled": self.mean()},
            "max": lambda: {"pooled_max": list(self.largest)},
            "mean_max": lambda: {"pooled": self.mean(), "pooled_max": list(self.largest)},
        }[self.model.readout.pooling]()

    def front(self, given: list[int], lowest: int = 0) -> tuple[list[int], bool]:
        """Section 6: the front layers from ``lowest`` up get an input; the last output, and True if there is a new
        one."""
        below = given
        for index, layer in enumerate(self.model.front):
            if index < lowest:
                continue
            inputs = self.inputs[index]
            inputs.append(below)
            past = len(inputs) - 1 - layer.first
            if past < 0 or past % layer.stride:
                return [], False
            match layer:
                case Conv():
                    below = step_conv(layer, inputs, index == 0)
                case TimePool():
                    below = step_time_pool(layer, inputs)
            self.outputs[index].append(below)
        return below, True

    def unchanged(self, index: int) -> Values:
        """What is traced of a layer that does not run."""
        memory = self.layers[index]
        size = len(memory.z)
        own: Values = {
            Rnn: {"hidden": [0] * size, "hidden_state": memory.z},
            Gru: {
                **{name: [0] * size for name in ("reset_gate", "update_gate", "new_gate_hidden", "new_gate")},
                "hidden_state": memory.h,
            },
            Lstm: {
                **{name: [0] * size for name in ("input_gate", "forget_gate", "cell_gate", "output_gate")},
                "cell_state": memory.c,
                "hidden_state": memory.z,
            },
            FastGrnn: {"update_gate": [0] * size, "new_gate": [0] * size, "hidden_state": memory.h},
        }[type(self.model.layers[index])]
        return {f"layer{index}.{name}": list(value) for name, value in own.items()}

    def run_above(self, features: list[int], below: list[int], runs: bool, values: Values) -> Values:
        """Section 7, step 2: the recurrent layers, if there is a new output of the front layers; what is traced of
        them."""
        model, values = self.model, dict(values)
        if not model.front:
            below = []
        for index in range(len(model.layers)):
            seen = features if index == 0 and not model.front else []
            if not runs or index >= min(model.backward, default=len(model.layers)):
                for name, value in self.unchanged(index).items():
                    values.setdefault(name, value)
                continue
            self.seen[index].append(seen + below)
            values |= self.run_layer(index, seen, below)
            below = checked_operands(self.layers[index].z)
        if runs and not model.backward:
            below = self.layers[-1].z
            rows = self.rows_of_all_steps()
            added = below if rows is None else self.of_this_step(rows, below)
            self.total = [s32(a + z) for a, z in zip(self.total, added, strict=True)]
            self.largest = [z if self.steps == 0 else max(a, z) for a, z in zip(self.largest, below, strict=True)]
        self.steps += runs
        if runs and model.backward:
            self.given.append(list(below))
        return values

    def run_layer(self, index: int, seen: list[int], below: list[int]) -> Values:
        """Section 6: one step of a recurrent layer; what is traced of it."""
        cell, memory = self.model.layers[index], self.layers[index]
        match cell:
            case Rnn():
                own = step_rnn(cell, memory, seen, below)
            case Gru():
                own = step_gru(cell, memory, seen, below)
            case FastGrnn():
                own = step_fastgrnn(cell, memory, seen, below)
            case Lstm():
                own = step_lstm(cell, memory, seen, below, self.model.number_format.cell_frac_bits[index])
        return {f"layer{index}.{name}": list(value) for name, value in own.items()}

    def run_over(self, index: int, inputs: list[list[int]]) -> tuple[list[list[int]], Values]:
        """Section 7, step 2: a layer over the inputs of a whole window; its operands in the order of time."""
        model, values, operands = self.model, {}, {}
        of_features = not model.front and (index == 0 or (index == 1 and 1 in model.backward))
        order = range(len(inputs))
        for step in reversed(order) if index in model.backward else order:
            given = inputs[step]
            values = self.run_layer(index, given if of_features else [], [] if of_features else given)
            operands[step] = checked_operands(self.layers[index].z)
        return [list(operands[step]) for step in order], values

    def run_at_end(self, values: Values) -> Values:
        """Section 7, step 2, at a window's last sample: the layers from the first that runs backward on."""
        model, values = self.model, dict(values)
        first = min(model.backward)
        inputs, outputs = self.seen[first - 1], [self.given]
        for index in range(first, len(model.layers)):
            if index not in model.backward:  # it sees what the layers before it gave
                inputs = [[z for part in parts for z in padded(part)] for parts in zip(*outputs, strict=True)]
                outputs = []
            own, traced = self.run_over(index, inputs)
            outputs.append(own)
            values |= traced
        joined = [[z for part in parts for z in part] for parts in zip(*outputs, strict=True)]
        for n, given in enumerate(joined):
            self.total = [s32(a + z) for a, z in zip(self.total, given, strict=True)]
            self.largest = [z if n == 0 else max(a, z) for a, z in zip(self.largest, given, strict=True)]
        return values

    def halves(self, values: list[int]) -> list[list[int]]:
        """What is read out of the two layers of a bidirectional one; otherwise one part."""
        size = self.model.hidden_sizes[-1]
        return [values[at : at + size] for at in range(0, len(values), size)]

    def step(self, x: list[int]) -> Values:
        model, readout = self.model, self.model.readout
        features = self.features([s16(a) for a in x])
        values: Values = {"features": features}
        of_layers = self.run_above(features, *self.front(features), {})
        at_end = self.t + 1 == model.contract.window_length
        for index, layer in enumerate(model.front):
            if isinstance(layer, Conv) and layer.padding == "same" and at_end:
                for _ in range(layer.zeros[1]):
                    behind = list(layer.pad) if layer.pad else [0] * model.front_inputs[index]
                    of_layers = self.run_above(features, *self.front(behind, index), of_layers)
        if at_end and model.backward:
            of_layers = self.run_at_end(of_layers)
        values |= {
            f"front{i}": list(outputs[-1]) if outputs else [0] * size
            for i, (outputs, size) in enumerate(zip(self.outputs, model.front_sizes, strict=True))
        }
        values |= of_layers
        self.t += 1
        last = len(model.layers) - 1
        below = (self.layers[last - 1].z if last in model.backward else []) + self.layers[last].z
        values |= {name: [0] * len(below) for name in self.pooled()}
        dense = {f"dense{index}": [0] * len(layer.rows.bias) for index, layer in enumerate(model.dense)}
        values |= dense
        values |= {"logits": [0] * model.num_classes, "label": [NO_LABEL]}
        if readout.decision is not None:
            excess = {} if readout.decision.unknown_distance is None else {"excess": [0]}
            values |= {"scores": [0] * model.num_classes, **excess, "decision": [NO_LABEL]}
        if at_end or readout.label_every == "sample":
            seen = self.pooled()
            values |= seen
            parts = [half for part in list(seen.values()) or [below] for half in self.halves(part)]
            for name, layer in zip(dense, model.dense, strict=True):
                seen_by_it = [z for part in parts for z in padded(part)]
                values[name] = activated(self.results(layer.rows, seen_by_it), layer.activation)
                parts = [values[name]]
            logits = self.results(model.head, [z for part in parts for z in padded(part)])
            values |= {"logits": logits, "label": [logits.index(max(logits))]}
            if readout.decision is not None:
                values |= self.decide(logits, parts)
        if at_end:
            if readout.at_window_end == "reset":
                self.reset()
            else:
                self.clear_pools()
        return values


def run_oracle(model: IntModel, counts: list[list[list[int]]]) -> dict[str, list[list[list[int]]]]:
    """Values [B][T][N] by name for ``counts`` [B][T][C], each of the B streams from a reset."""
    streams = []
    for stream in counts:
        oracle = Oracle(model)
        streams.append([oracle.step(sample) for sample in stream])
    return {name: [[step[name] for step in steps] for steps in streams] for name in streams[0][0]}
