"""A tensor on its way through a graph of operators: which axis is which, and the records that led to it.

ONNX and PyTorch graphs move axes about (Transpose, Squeeze, Gather, Reshape) between the operations that compute. A
:class:`Flow` follows one tensor, so that the graph becomes an imported chain. Each method returns the next tensor, or
raises :class:`FlowError` if the chain cannot express what is asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_seq.frontends.chain import (
    Activate,
    Affine,
    Array,
    Bidirectional,
    Collapse,
    CollapseKind,
    Convolution,
    Dense,
    Pad,
    Pool,
    PoolKind,
    Record,
    Recurrent,
    float32,
)
from edge_seq.ir.verify import MAX_HIDDEN_SIZE
from edge_seq.support.errors import ModelError

# Axes: B batch, T time, C channel or unit, D direction, or any axis of length 1. Behind two-dimensional convolutions
# the units are two axes, W width and F filter. N is of the parts of a window, T then of the steps of a part. Several in
# one name are merged, in this order.
BATCH, TIME, CHANNEL, DIRECTION, WIDTH, FILTER, PART = "B", "T", "C", "D", "W", "F", "N"
_PLANES = ((DIRECTION, CHANNEL), (CHANNEL, DIRECTION), (FILTER, WIDTH))  # channels and width of what is convolved
TRACED_BATCH = 3  # size of the batch while a graph is followed, if the file leaves it open


class FlowError(ModelError):
    """A graph does what no chain expresses."""


@dataclass(frozen=True)
class Flow:
    """A tensor that depends on the network's input.

    Attributes:
        axes: names of its axes.
        sizes: their lengths.
        records: operations from the input to it. Of two axes W and F, they see the filters of the first width, then
            those of the second, and so on. They see all parts of a window as one sequence.
        period: number of steps of this sequence from the start of a part to that of the next; 0 without parts.
    """

    axes: tuple[str, ...]
    sizes: tuple[int, ...]
    records: tuple[Record, ...] = ()
    period: int = 0

    @property
    def channels(self) -> int:
        """Number of channels or units."""
        if FILTER in self.axes:
            return self.sizes[self._axis(FILTER)] * self.sizes[self._axis(WIDTH)]
        return self.sizes[self._axis(CHANNEL)]

    @property
    def time_steps(self) -> int:
        """Length of the time axis."""
        return self.sizes[self._axis(TIME)]

    def with_record(self, record: Record, channels: int | None = None) -> Flow:
        """After an operation that keeps the axes; it may change the number of channels."""
        flow = self if channels is None else self.resized(CHANNEL, channels)
        return dataclasses.replace(flow, records=(*self.records, record))

    def _axis(self, name: str) -> int:
        if name not in self.axes:
            raise FlowError(f"needs an axis {name} of {self.axes}")
        return self.axes.index(name)

    def index(self, axis: int) -> int:
        """The axis as a number from 0; negative ones count from the end."""
        if not -len(self.axes) <= axis < len(self.axes):
            raise FlowError(f"axis {axis} of {len(self.axes)}")
        return axis % len(self.axes)

    def permute(self, order: Sequence[int]) -> Flow:
        """Reorder the axes."""
        chosen = [self.index(axis) for axis in order]
        if sorted(chosen) != list(range(len(self.axes))):
            raise FlowError(f"transposes {self.axes} by {list(order)}")
        return Flow(tuple(self.axes[i] for i in chosen), tuple(self.sizes[i] for i in chosen), self.records)

    def squeeze(self, axes: Sequence[int] | None) -> Flow:
        """Drop axes of length 1. The batch is never dropped."""
        if axes is None:
            axes = [i for i, size in enumerate(self.sizes) if size == 1]
        drop = {self.index(axis) for axis in axes}
        if any(self.sizes[i] != 1 or self.axes[i] != DIRECTION for i in drop):
            raise FlowError(f"drops the axes {[self.axes[i] for i in sorted(drop)]}")
        return self._keep([i for i in range(len(self.axes)) if i not in drop])

    def unsqueeze(self, axes: Sequence[int]) -> Flow:
        """Add axes of length 1."""
        total = len(self.axes) + len(axes)
        new = {axis % total for axis in axes}
        rest = iter(zip(self.axes, self.sizes, strict=True))
        pairs = [(DIRECTION, 1) if i in new else next(rest) for i in range(total)]
        return Flow(tuple(name for name, _ in pairs), tuple(size for _, size in pairs), self.records)

    def _keep(self, indices: Sequence[int]) -> Flow:
        return Flow(tuple(self.axes[i] for i in indices), tuple(self.sizes[i] for i in indices), self.records)

    def select(self, name: str, axis: int, index: int) -> Flow:
        """One index of an axis: the last step, or the only direction."""
        position = self.index(axis)
        size = self.sizes[position]
        rest = self._keep([i for i in range(len(self.axes)) if i != position])
        match self.axes[position]:
            case "T" if index in (-1, size - 1):
                return dataclasses.replace(rest, records=(*rest.records, Collapse(name, "last")))
            case "D" if size == 1:
                return rest
        raise FlowError(
            f"takes index {index} of the axis {self.axes[position]} of length {size}; only the last step can be taken "
            "(a recurrent layer that was written out step by step cannot be read)"
        )

    def slice(self, name: str, axis: int, start: int, end: int, step: int = 1) -> Flow:
        """A part of an axis: all of it, or the last step, which stays an axis of length 1."""
        position = self.index(axis)
        size = self.sizes[position]
        first, last, by = slice(start, end, step).indices(size)
        if (first, last, by) == (0, size, 1):
            return self
        record = self.records[-1] if self.records else None
        if self.axes[position] == TIME and (first, by) == (0, 1) and isinstance(record, Convolution):
            before, after = record.padding
            if record.stride == 1 and size - last <= after:  # the outputs that see zeros after the window are dropped
                sizes = (*self.sizes[:position], last, *self.sizes[position + 1 :])
                shorter = dataclasses.replace(record, padding=(before, after - (size - last)))
                return Flow(self.axes, sizes, (*self.records[:-1], shorter))
        if self.axes[position] == TIME and by == 1 and last - first == 1:
            return self.select(name, position, first).unsqueeze([position])
        raise FlowError(f"takes {first} to {last} by {by} of the axis {self.axes[position]} of length {size}")

    def collapse(self, name: str, kind: CollapseKind, axes: Sequence[int], *, keep: bool) -> Flow:
        """Mean or maximum over time."""
        positions = [self.index(axis) for axis in axes]
        if [self.axes[i] for i in positions] != [TIME]:
            raise FlowError(f"takes the {kind} over {[self.axes[i] for i in positions]}; only time can be collapsed")
        rest = self._keep([i for i in range(len(self.axes)) if i != positions[0]])
        flow = dataclasses.replace(rest, records=(*rest.records, Collapse(name, kind)))
        return flow.unsqueeze(positions) if keep else flow

    def reshape(self, name: str, shape: Sequence[int], *, zero_copies: bool = True) -> Flow:
        """Another shape with the same order of elements: drops or adds axes of length 1, merges and splits axes.

        A merge of time and channels after a batch flattens the window.
        """
        target = [self.sizes[i] if size == 0 and zero_copies else int(size) for i, size in enumerate(shape)]
        total = int(np.prod(self.sizes))
        if target.count(-1) == 1:
            known = int(np.prod([size for size in target if size != -1]))
            target[target.index(-1)] = total // known if known else 0
        if int(np.prod(target)) != total:
            raise FlowError(f"reshapes {list(self.sizes)} to {list(shape)}")
        atoms = self._atoms()
        axes: list[str] = []
        for size in target:
            group: list[tuple[str, int]] = [atoms.pop(0)] if size == 1 and atoms and atoms[0][1] == 1 else []
            while (product := int(np.prod([length for _, length in group]))) < size:
                if not atoms:
                    raise FlowError(f"reshapes {self.axes} to {list(shape)}")
                group.append(atoms.pop(0))
            if product != size:
                raise FlowError(f"reshapes {self.axes} {list(self.sizes)} to {list(shape)}, across axes")
            names = [one for one, length in group if length > 1 or one != DIRECTION]
            axes.append("".join(names) or DIRECTION)
        for axis, size in atoms:
            if size != 1 or axis != DIRECTION:
                raise FlowError(f"reshapes {self.axes} to {list(shape)}")
        return self._named(name, axes, target)

    def _atoms(self) -> list[tuple[str, int]]:
        """The axes with merged ones taken apart. Axes of length 1 that are not named otherwise are left out."""
        lengths: dict[str, int] = {}
        for axis, size in zip(self.axes, self.sizes, strict=True):
            if len(axis) == 1:
                lengths[axis] = size
        atoms: list[tuple[str, int]] = []
        for axis, size in zip(self.axes, self.sizes, strict=True):
            if axis == "BT":
                batch = TRACED_BATCH if size % TRACED_BATCH == 0 else 1
                atoms += [(BATCH, batch), (TIME, size // batch)]
            elif axis != DIRECTION or size > 1:
                atoms.append((axis, size))
        return atoms

    def _named(self, name: str, axes: list[str], sizes: Sequence[int]) -> Flow:
        """The reshaped tensor; merged axes are flattened windows, or both directions of a layer."""
        records = self.records
        named = []
        for axis in axes:
            if axis == "TC":
                records = (*records, Collapse(name, "flatten", self.time_steps))
                axis = CHANNEL
            elif axis in ("DC", WIDTH + FILTER):
                axis = CHANNEL
            elif axis == FILTER + WIDTH:
                records = (*records, self._by_filter(name))
                axis = CHANNEL
            elif axis not in (BATCH, TIME, CHANNEL, DIRECTION, WIDTH, FILTER, "BT"):
                raise FlowError(f"merges the axes {axis}")
            named.append(axis)
        return Flow(tuple(named), tuple(int(size) for size in sizes), records)

    def _by_filter(self, name: str) -> Dense:
        """The units with all widths of the first filter first, as a linear layer that folds into what is behind it."""
        width, filters = (self.sizes[self._axis(axis)] for axis in (WIDTH, FILTER))
        if width * filters > MAX_HIDDEN_SIZE:
            raise FlowError(f"gives {width} x {filters} units; expected at most {MAX_HIDDEN_SIZE}")
        order = np.arange(width * filters).reshape(width, filters).T.ravel()
        return Dense(name, float32(np.eye(len(order))[order]), float32(np.zeros(len(order))))

    # --- operations that compute -------------------------------------------------------------------------------------

    def last_is_channel(self) -> None:
        """Check that the last axis is the channel."""
        if self.axes[-1] != CHANNEL:
            raise FlowError(f"multiplies along the last of the axes {self.axes}, which is not the channel")

    def dense(self, name: str, weight: Array, bias: Array | None) -> Flow:
        """A linear layer on the channels: weight [O, I]."""
        self.last_is_channel()
        if weight.ndim != 2 or weight.shape[1] != self.channels:
            raise FlowError(f"has a weight {list(weight.shape)} for {self.channels} channels")
        given = np.zeros(len(weight)) if bias is None else np.broadcast_to(bias.reshape(-1), (len(weight),))
        return self.with_record(Dense(name, float32(weight), float32(given)), len(weight))

    def along_channels(self, values: Array) -> Array:
        """Numbers that are combined with the tensor element by element, as one for each channel or for all."""
        array = np.asarray(values)
        if array.size == 1:
            return float32(array.reshape(1))
        shape = (1,) * (len(self.axes) - array.ndim) + array.shape
        axis = self._axis(FILTER if FILTER in self.axes else CHANNEL)
        if len(shape) != len(self.axes) or shape[axis] != array.size or array.size != self.sizes[axis]:
            raise FlowError(
                f"combines {self.axes} {list(self.sizes)} with numbers {list(array.shape)}, which differ "
                "by more than the channel"
            )
        return float32(array.reshape(-1))

    def normalisation(self, name: str, scale: Array, offset: Array, axis: int = 1) -> Flow:
        """A batch normalisation along an axis: y = scale x + offset; [C] each, or [1]."""
        found, size = self.axes[self.index(axis)], self.sizes[self.index(axis)]
        if found not in (CHANNEL, FILTER) and (found, size) != (DIRECTION, 1):
            raise FlowError(f"normalises the axis {found}; only channels can be normalised")
        if any(len(one) not in (1, size) for one in (scale, offset)):
            raise FlowError(f"has {len(scale)} scales for {size} channels")
        return self.affine(name, scale, offset)

    def affine(self, name: str, scale: Array, offset: Array) -> Flow:
        """y = scale x + offset, for each channel or for all alike; behind two-dimensional convolutions, for each
        filter."""
        times = self.sizes[self._axis(WIDTH)] if FILTER in self.axes else 1
        scale, offset = (np.tile(one, times) if len(one) > 1 else one for one in (scale, offset))
        return self.with_record(Affine(name, float32(scale), float32(offset)))

    def activate(self, name: str, function: str, axis: int = -1) -> Flow:
        """A function of each value, or of all channels."""
        if function in ("softmax", "log_softmax") and self.axes[self.index(axis)] != CHANNEL:
            raise FlowError(f"takes {function} over the axis {self.axes[self.index(axis)]}; expected the classes")
        return self.with_record(Activate(name, function))

    def recurrent(self, record: Recurrent | Bidirectional, size: int, *, directions: bool, batch_first: bool) -> Flow:
        """A recurrent layer: states of all steps. ``directions`` adds the axis of ONNX."""
        expected = (BATCH, TIME, CHANNEL) if batch_first else (TIME, BATCH, CHANNEL)
        if self.axes != expected:
            raise FlowError(f"gets the axes {self.axes}; expected {expected}")
        count = 2 if isinstance(record, Bidirectional) else 1
        records = (*self.records, record)
        if not directions:
            return Flow(self.axes, (*self.sizes[:2], count * size), records)
        first, second = zip(self.axes[:2], self.sizes[:2], strict=True)
        axes = [first, second, (DIRECTION, count)] if batch_first else [first, (DIRECTION, count), second]
        pairs = [*axes, (CHANNEL, size)]
        return Flow(tuple(axis for axis, _ in pairs), tuple(length for _, length in pairs), records)

    def final_state(self, name: str) -> Flow:
        """The last state, from the states of all steps with the axis of directions."""
        kind: CollapseKind = "ends" if isinstance(self.records[-1], Bidirectional) else "last"
        rest = self._keep([i for i in range(len(self.axes)) if self.axes[i] != TIME])
        return dataclasses.replace(rest, records=(*rest.records, Collapse(name, kind)))

    def pad(self, name: str, padding: tuple[int, int]) -> Flow:
        """Zeros before and after the window."""
        if min(padding) < 0:
            raise FlowError(f"pads time by {padding}; expected no negative numbers")
        return self._with_steps(self.time_steps + sum(padding), Pad(name, padding))

    def convolution(self, record: Convolution) -> Flow:
        """A convolution over time of [B, C, T]. Zeros that were added before become its padding."""
        if self.axes != (BATCH, CHANNEL, TIME):
            raise FlowError(f"convolves the axes {self.axes}; expected {(BATCH, CHANNEL, TIME)}")
        outputs, inputs, size = record.weight.shape
        if record.groups < 1 or outputs % record.groups or inputs * record.groups != self.channels:
            raise FlowError(f"has a weight {list(record.weight.shape)} for {self.channels} channels")
        steps = self._steps(record.dilation * (size - 1) + 1, record.stride, record.padding)
        flow = self
        if self.records and isinstance(pad := self.records[-1], Pad):
            both = (record.padding[0] + pad.padding[0], record.padding[1] + pad.padding[1])
            record = dataclasses.replace(record, padding=both)
            flow = dataclasses.replace(self, records=self.records[:-1])
        return flow._with_steps(steps, record).resized(CHANNEL, outputs)

    def convolution_2d(self, record: Convolution, kernels: Array, strides: tuple[int, int]) -> Flow:
        """A convolution along time and width of [B, channels, time and width in either order].

        It spans one width, and then is the same for each, or all of them.

        Args:
            record: the convolution, without its weights; stride, dilation and padding are those along time.
            kernels: weights [O, I / groups, K, W], K along the third axis of the tensor.
            strides: along the third and the fourth axis.
        """
        time = self.axes.index(TIME) if TIME in self.axes[2:] else 2
        other = 5 - time
        if len(self.axes) != 4 or (self.axes[1], self.axes[other]) not in _PLANES:
            raise FlowError(f"convolves the axes {self.axes}; expected batch, channels, and time and width")
        depth, width = self.sizes[1], self.sizes[other]
        weight = kernels if time == 2 else kernels.transpose(0, 1, 3, 2)  # [O, I / groups, K, W]
        outputs, inputs, _, span = weight.shape
        if inputs * record.groups != depth or outputs % record.groups:
            raise FlowError(f"has a weight {list(kernels.shape)} for {depth} channels")
        is_alike = span == 1 and width > 1
        if not is_alike and (span != width or (record.groups > 1 and width > 1)):
            raise FlowError(f"spans {span} of {width} sensor channels; expected one or all of them")
        if is_alike and strides[other - 2] != 1:
            raise FlowError(f"leaves out sensor channels, with a stride of {strides[other - 2]}; expected 1")
        if outputs * (width if is_alike else 1) > MAX_HIDDEN_SIZE:
            raise FlowError(f"gives {width} x {outputs} units; expected at most {MAX_HIDDEN_SIZE}")
        if is_alike:
            weight, groups = np.tile(weight[:, :, :, 0], (width, 1, 1)), width * record.groups
            record = dataclasses.replace(record, bias=float32(np.tile(record.bias, width)), groups=groups)
        else:
            weight = weight.transpose(0, 3, 1, 2).reshape(outputs, -1, weight.shape[2])
        flow = Flow((BATCH, CHANNEL, TIME), (self.sizes[0], depth * width, self.sizes[time]), self.records)
        flow = flow.convolution(dataclasses.replace(record, weight=float32(weight), stride=strides[time - 2]))
        axes, sizes = (
            [BATCH, FILTER if is_alike else CHANNEL, TIME, TIME],
            [flow.sizes[0], outputs] + 2 * [flow.sizes[2]],
        )
        axes[other], sizes[other] = (WIDTH, width) if is_alike else (DIRECTION, 1)
        return Flow(tuple(axes), tuple(sizes), flow.records)

    def pool(self, name: str, kind: PoolKind, size: int, stride: int, padding: tuple[int, int]) -> Flow:
        """Pooling over time of [B, C, T], or of [B, F, T, W] and [B, F, W, T]."""
        if self.axes[0] != BATCH or self.axes[1] not in (CHANNEL, FILTER) or TIME not in self.axes:
            raise FlowError(f"pools the axes {self.axes}; expected {(BATCH, CHANNEL, TIME)}")
        return self._with_steps(self._steps(size, stride, padding), Pool(name, kind, size, stride, padding))

    def pool_2d(
        self, name: str, kind: PoolKind, sizes: tuple[int, int], strides: tuple[int, int], paddings: tuple[int, int]
    ) -> Flow:
        """Pooling of [B, channels, time and width in either order], along time alone."""
        if len(self.axes) != 4 or TIME not in self.axes[2:]:
            raise FlowError(f"pools the axes {self.axes}; expected batch, channels, and time and width")
        time = self.axes.index(TIME)
        other = 3 - time  # place of the width among the two
        if (sizes[other], paddings[other]) != (1, 0) or (strides[other] != 1 and self.sizes[5 - time] > 1):
            raise FlowError(f"pools over {sizes[other]} sensor channels; expected pooling over time alone")
        return self.pool(name, kind, sizes[time - 2], strides[time - 2], 2 * (paddings[time - 2],))

    # --- parts of a window -------------------------------------------------------------------------------------------

    def parts(self, count: int) -> Flow:
        """A window [B, T, C] in parts of one length, [B, N, T, C]."""
        if self.axes != (BATCH, TIME, CHANNEL) or count < 1 or self.time_steps % count:
            raise FlowError(f"cuts {self.axes} {list(self.sizes)} into {count} parts; expected parts of one length")
        batch, steps, channels = self.sizes
        length = steps // count
        return Flow((BATCH, PART, TIME, CHANNEL), (batch, count, length, channels), self.records, length)

    def one_part(self) -> Flow:
        """One part of a window, [B, T, C]."""
        return Flow((BATCH, TIME, CHANNEL), (self.sizes[0], *self.sizes[2:]), self.records)

    def each_part(self, after: Flow) -> Flow:
        """All parts, after operations that were given for :meth:`one_part`.

        An operation sees the parts as one sequence. What it gives for steps of two parts is computed, and not used.
        """
        new = [one for one in after.records[len(self.records) :] if isinstance(one, Convolution | Pool)]
        if any(one.padding != (0, 0) for one in new):
            raise FlowError("adds zeros at the ends of each part of a window; expected padding 'valid'")
        stride = math.prod(one.stride for one in new)
        if not self.period or self.period % stride:
            raise FlowError(f"takes every {stride}th step of parts of {self.period} steps; expected a divisor")
        return Flow(self.axes, (*self.sizes[:2], *after.sizes[1:]), after.records, self.period // stride)

    def joined_parts(self, name: str) -> Flow:
        """All steps of a part in one vector, the first step first: [B, T, C] with a step for each part."""
        batch, count, steps, channels = self.sizes
        units = steps * channels
        if not self.period or units > MAX_HIDDEN_SIZE:
            raise FlowError(f"gives {steps} x {channels} units; expected at most {MAX_HIDDEN_SIZE}")
        unit = np.arange(units)
        weight = np.zeros((units, channels, steps), dtype=np.float32)
        weight[unit, unit % channels, unit // channels] = 1
        record = Convolution(name, weight, float32(np.zeros(units)), self.period)
        return Flow((BATCH, TIME, CHANNEL), (batch, count, units), (*self.records, record))

    def pooled_parts(self, name: str, kind: PoolKind) -> Flow:
        """The mean or the largest value of each part: [B, T, C] with a step for each part."""
        batch, count, steps, channels = self.sizes
        record = Pool(name, kind, steps, self.period)
        return Flow((BATCH, TIME, CHANNEL), (batch, count, channels), (*self.records, record))

    def _with_steps(self, steps: int, record: Record) -> Flow:
        """After an operation that changes the number of time steps."""
        return dataclasses.replace(self.resized(TIME, steps), records=(*self.records, record))

    def resized(self, axis: str, size: int) -> Flow:
        """The same with another length of an axis."""
        sizes = tuple(size if name == axis else old for name, old in zip(self.axes, self.sizes, strict=True))
        return dataclasses.replace(self, sizes=sizes)

    def _steps(self, span: int, stride: int, padding: tuple[int, int]) -> int:
        room = self.time_steps + sum(padding) - span
        if room < 0:
            raise FlowError(f"needs {span} steps of a window of {self.time_steps}")
        return room // stride + 1

    def concatenate(self, name: str, other: Flow) -> Flow:
        """Mean and maximum of the same states, one after the other."""
        first, second = self.records[-1:], other.records[-1:]
        kinds = [one.kind for one in (*first, *second) if isinstance(one, Collapse)]
        same = self.axes == other.axes and len(self.records) == len(other.records)
        prefix = all(a is b for a, b in zip(self.records[:-1], other.records[:-1], strict=False))
        if not (same and prefix and kinds == ["mean", "max"] and self.axes[-1] == CHANNEL):
            raise FlowError("joins two branches; expected a chain, or the mean and then the maximum of the same states")
        flow = dataclasses.replace(self, records=(*self.records[:-1], Collapse(name, "mean_max")))
        sizes = (*self.sizes[:-1], self.sizes[-1] + other.sizes[-1])
        return dataclasses.replace(flow, sizes=sizes)
