"""C of the preprocessing and of :func:`edge_seq.data.statistics.integer_statistics`, sample by sample."""

from __future__ import annotations

from edge_seq.ir.contract import SensorContract

_PREPROCESS = {
    "none": "    for (c = 0; c < CHANNELS; c++) feature[c] = counts[c];\n",
    "difference": """    for (c = 0; c < CHANNELS; c++) {
        feature[c] = count == 0u ? 0 : limited(counts[c] - memory[c]);
        memory[c] = counts[c];
    }
""",
    "remove_gravity": """    for (c = 0; c < CHANNELS; c++) {
        const int32_t target = (int32_t)counts[c] * 16384;
        memory[c] = count == 0u ? target : memory[c] + ((target - memory[c]) >> GRAVITY_SHIFT);
        feature[c] = limited(counts[c] - ((memory[c] + 8192) >> 14));
    }
""",
}

_HEAD = """#include <stdint.h>

#define CHANNELS {channels}
#define SAMPLES {samples}
#define GRAVITY_SHIFT {shift}

static int32_t memory[CHANNELS];
static uint32_t count;

static int16_t limited(int32_t value)
{{
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}}

static void preprocess(const int16_t *counts, int16_t *feature)
{{
    unsigned c;
    (void)limited;
    (void)memory;
{body}}}
"""

_STATISTICS = """
typedef struct {
    int32_t total, steps;
    uint64_t squares;
    int16_t last, smallest, largest;
    uint16_t turns;
    uint8_t rising;
} running_t;

static running_t running[CHANNELS + 1];

static uint32_t root(uint64_t value)
{
    uint64_t bit = (uint64_t)1 << 46, found = 0;
    while (bit > value) bit >>= 2;
    while (bit != 0) {
        if (value >= found + bit) {
            value -= found + bit;
            found = (found >> 1) + bit;
        } else {
            found >>= 1;
        }
        bit >>= 2;
    }
    return (uint32_t)found;
}

static uint32_t root32(uint32_t value)
{
    uint32_t bit = (uint32_t)1 << 30, found = 0;
    while (bit > value) bit >>= 2;
    while (bit != 0) {
        if (value >= found + bit) {
            value -= found + bit;
            found = (found >> 1) + bit;
        } else {
            found >>= 1;
        }
        bit >>= 2;
    }
    return found;
}

static void take(running_t *one, int16_t value)
{
    if (count == 0u) {
        one->total = one->steps = 0;
        one->squares = 0;
        one->smallest = one->largest = value;
        one->turns = 0;
    } else {
        const int32_t step = value - one->last;
        const uint8_t rising = step > 0;
        one->steps += step < 0 ? -step : step;
        if (count > 1u && rising != one->rising) one->turns++;
        one->rising = rising;
        if (value < one->smallest) one->smallest = value;
        if (value > one->largest) one->largest = value;
    }
    one->last = value;
    one->total += value;
    one->squares += (uint32_t)((int32_t)value * value);
}

static int16_t mean_of(int32_t total, int32_t parts)
{
    int32_t quotient = total / parts;
    if (quotient * parts > total) quotient--;
    return (int16_t)quotient;
}

static void finish(const running_t *one, int16_t *statistics)
{
    const int64_t total = one->total;
    const uint64_t spread = SAMPLES * one->squares - (uint64_t)(total * total);
    statistics[0] = mean_of(one->total, SAMPLES);
    statistics[1] = limited((int32_t)root32((uint32_t)(spread / ((uint64_t)SAMPLES * SAMPLES))));
    statistics[2] = one->smallest;
    statistics[3] = one->largest;
    statistics[4] = limited(one->steps / (SAMPLES - 1));
    statistics[5] = (int16_t)one->turns;
}

int32_t classify(const int16_t *statistics);

int32_t rival_step(const int16_t *counts)
{
    int16_t feature[CHANNELS], statistics[6 * (CHANNELS + 1)];
    uint64_t squares = 0;
    unsigned c;
    preprocess(counts, feature);
    for (c = 0; c < CHANNELS; c++) {
        take(&running[c], feature[c]);
        squares += (uint32_t)((int32_t)feature[c] * feature[c]);
    }
    take(&running[CHANNELS], limited((int32_t)(squares >> 32 ? root(squares) : root32((uint32_t)squares))));
    if (++count < SAMPLES) return -1;
    count = 0;
    for (c = 0; c < CHANNELS + 1; c++) finish(&running[c], statistics + 6 * c);
    return classify(statistics);
}
"""


def preprocessing(contract: SensorContract) -> str:
    """C of ``preprocess(counts, feature)``, with the number of samples in ``count``."""
    step = contract.preprocessing
    return _HEAD.format(
        channels=contract.num_channels,
        samples=contract.window_length,
        shift=step.gravity_shift if step.step == "remove_gravity" else 0,
        body=_PREPROCESS[step.step],
    )


def statistics_program(contract: SensorContract) -> str:
    """C of ``rival_step(counts)``: the label after a window's last sample, -1 before. It calls ``classify``."""
    return preprocessing(contract) + _STATISTICS
