/* es_lstm.c for parts with Helium: the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#include <arm_mve.h>

#include "edge_seq.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define LANES 4u               /* quads in a group; units in a batch */
#define WORDS_BYTES 16u        /* of the four rows' parts of a quad or pair */
#define ROW_OFFSETS 0, 16, 32, 48 /* bytes from a row's part of a quad, or pair, to its part of the next */

/* One row of four quads: weights gathered, whole words times coarse operands, low bytes times fine ones. */
#define ADD_ROW(sum, words, fine, coarse)                                                        \
    do {                                                                                         \
        const int16x8_t row_words = vreinterpretq_s16_s32(words);                                \
        (sum) = vmladavaq_s16((sum), row_words, (coarse));                                       \
        (sum) = vmladavaq_s16((sum), vmovlbq_s8(vreinterpretq_s8_s16(row_words)), (fine));       \
    } while (0)

/* Operands of up to four quads, the fine pairs and the coarse ones apart; zero beyond. */
typedef struct {
    int16x8_t fine;
    int16x8_t coarse;
} operands_t;

ALWAYS_INLINE uint32x4_t four(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    const uint32_t values[4] = {a, b, c, d};
    return vldrwq_u32(values);
}

ALWAYS_INLINE operands_t load_operands(const int16_t *operands, mve_pred16_t active)
{
    const uint32x4_t offsets = four(0, 8, 16, 24);
    const int32_t *const words = (const int32_t *)(const void *)operands;
    operands_t loaded;
    loaded.fine = vreinterpretq_s16_s32(vldrwq_gather_offset_z_s32(words, offsets, active));
    loaded.coarse = vreinterpretq_s16_s32(vldrwq_gather_offset_z_s32(words + 1, offsets, active));
    return loaded;
}

/* Sums over any number of quads; `at` addresses the first row's part of the first four quads. */
ALWAYS_INLINE void add_quads(int32_t *sums, uint32x4_t at, const int16_t *operands, unsigned quads)
{
    while (quads > 0) {
        const mve_pred16_t active = vctp32q(quads);
        const operands_t z = load_operands(operands, active);
        ADD_ROW(sums[0], vldrwq_gather_base_z_s32(at, 0, active), z.fine, z.coarse);
        ADD_ROW(sums[1], vldrwq_gather_base_z_s32(at, 4, active), z.fine, z.coarse);
        ADD_ROW(sums[2], vldrwq_gather_base_z_s32(at, 8, active), z.fine, z.coarse);
        ADD_ROW(sums[3], vldrwq_gather_base_z_s32(at, 12, active), z.fine, z.coarse);
        at = vaddq_n_u32(at, 64);
        operands += LANES * ES_QUAD;
        quads -= quads < LANES ? quads : LANES;
    }
}

ALWAYS_INLINE void add_pairs(int32_t *sums, uint32x4_t at, const int16_t *features, unsigned pairs)
{
    while (pairs > 0) {
        const mve_pred16_t active = vctp32q(pairs);
        const int32_t *const words = (const int32_t *)(const void *)features;
        const int16x8_t x = vreinterpretq_s16_s32(vldrwq_z_s32(words, active));
        sums[0] = vmladavaq_s16(sums[0], vreinterpretq_s16_s32(vldrwq_gather_base_z_s32(at, 0, active)), x);
        sums[1] = vmladavaq_s16(sums[1], vreinterpretq_s16_s32(vldrwq_gather_base_z_s32(at, 4, active)), x);
        sums[2] = vmladavaq_s16(sums[2], vreinterpretq_s16_s32(vldrwq_gather_base_z_s32(at, 8, active)), x);
        sums[3] = vmladavaq_s16(sums[3], vreinterpretq_s16_s32(vldrwq_gather_base_z_s32(at, 12, active)), x);
        at = vaddq_n_u32(at, 64);
        features += 2 * LANES;
        pairs -= pairs < LANES ? pairs : LANES;
    }
}

/* tanh of four arguments, Q15; see ES_DSP_TANH. */
ALWAYS_INLINE int32x4_t tanh4(int32x4_t argument)
{
    const int32x4_t index = vminq_s32(vmaxq_s32(vshrq_n_s32(argument, 12), vdupq_n_s32(0)), vdupq_n_s32(255));
    const int32x4_t word = vldrwq_gather_shifted_offset_s32(es_tanh_dsp_table, vreinterpretq_u32_s32(index));
    const int32x4_t rise = vmullbq_int_s16(vreinterpretq_s16_s32(word), vreinterpretq_s16_s32(argument));
    return vshrq_n_s32(vaddq_s32(word, rise), 16);
}

ALWAYS_INLINE int32x4_t sigmoid4(int32x4_t argument)
{
    return vaddq_n_s32(vshrq_n_s32(tanh4(argument), 1), 16384);
}

/* Gates and states of up to four units. sums [4, 4]: gate by gate; cell, hidden [4] */
ALWAYS_INLINE void update_units(const es_block_t *blocks, const int32_t *sums, int16_t *cell, int16_t *hidden,
                                int32_t frac_bits, mve_pred16_t active)
{
    const uint32x4_t strides = four(0, sizeof(es_block_t), 2 * sizeof(es_block_t), 3 * sizeof(es_block_t));
    const int32x4_t operand_shifts = vreinterpretq_s32_u32(four(0, 0, (uint32_t)-8, (uint32_t)-8));
    int32x4_t gates[4];
    int32x4_t c, t, h;
    unsigned gate;

    for (gate = 0; gate < 4; gate++) {
        const int32x4_t m = vldrhq_gather_offset_z_s32(&blocks->multiplier[gate], strides, active);
        gates[gate] = vmulhq_s32(vldrwq_s32(sums + 4 * gate), vshlq_n_s32(m, 16));
    }
    t = vshlq_r_s32(vmulq_s32(sigmoid4(gates[0]), tanh4(gates[2])), frac_bits - 15);
    c = vldrhq_z_s32(cell, active);
    c = vrshrq_n_s32(vaddq_s32(vmulq_s32(sigmoid4(gates[1]), c), t), 15);
    c = vmovlbq_s16(vqmovnbq_s32(vdupq_n_s16(0), c));
    vstrhq_p_s32(cell, c, active);
    t = tanh4(vaddq_n_s32(vshlq_r_s32(c, ES_ARGUMENT_FRAC_BITS - frac_bits), ES_ARGUMENT_ZERO));
    h = vrshlq_s32(vshrq_n_s32(vmulq_s32(sigmoid4(gates[3]), t), 15), operand_shifts);
    vstrhq_s32(hidden, vpselq_s32(h, vdupq_n_s32(0), active));
}

/* Sums of `count` units, 1 .. 4, gate by gate. Any sizes. */
static void sum_units(const es_layer_t *layer, const es_block_t *block, uint32_t weights, const int16_t *below,
                      const int16_t *own, int32_t *sums, unsigned count)
{
    const uint32_t pairs_bytes = WORDS_BYTES * layer->wide_pairs;
    const uint32_t below_bytes = WORDS_BYTES * layer->below_quads;
    const uint32_t own_bytes = WORDS_BYTES * layer->own_quads;
    uint32x4_t at = vaddq_n_u32(four(ROW_OFFSETS), weights);

    for (; count > 0; count--) {
        int32_t unit_sums[4];
        unit_sums[0] = block->bias[0];
        unit_sums[1] = block->bias[1];
        unit_sums[2] = block->bias[2];
        unit_sums[3] = block->bias[3];
        add_pairs(unit_sums, at, below, layer->wide_pairs);
        at = vaddq_n_u32(at, pairs_bytes);
        add_quads(unit_sums, at, below, layer->below_quads);
        at = vaddq_n_u32(at, below_bytes);
        add_quads(unit_sums, at, own, layer->own_quads);
        at = vaddq_n_u32(at, own_bytes);
        sums[0] = unit_sums[0];
        sums[LANES] = unit_sums[1];
        sums[2 * LANES] = unit_sums[2];
        sums[3 * LANES] = unit_sums[3];
        sums++;
        block++;
    }
}

/* The same for a first layer of eight quads with up to eight channels: features and operands stay in registers. Lanes
 * beyond the pairs read weights of the unit's quads; they meet zeros. */
static void sum_units_of_eight_quads(const es_layer_t *layer, const es_block_t *block, uint32_t weights,
                                     const int16_t *features, const int16_t *own, int32_t *sums, unsigned count)
{
    const uint32_t pairs_bytes = WORDS_BYTES * layer->wide_pairs;
    const int32x4_t x_words =
        vldrwq_z_s32((const int32_t *)(const void *)features, vctp32q(layer->wide_pairs));
    const int16x8_t x = vreinterpretq_s16_s32(x_words);
    const int32x4x2_t z0 = vld2q_s32((const int32_t *)(const void *)own);
    const int32x4x2_t z1 = vld2q_s32((const int32_t *)(const void *)(own + LANES * ES_QUAD));
    const int16x8_t fine0 = vreinterpretq_s16_s32(z0.val[0]);
    const int16x8_t coarse0 = vreinterpretq_s16_s32(z0.val[1]);
    const int16x8_t fine1 = vreinterpretq_s16_s32(z1.val[0]);
    const int16x8_t coarse1 = vreinterpretq_s16_s32(z1.val[1]);
    uint32x4_t at = vaddq_n_u32(four(ROW_OFFSETS), weights);

    for (; count > 0; count--) {
        int32_t sum0 = block->bias[0];
        int32_t sum1 = block->bias[1];
        int32_t sum2 = block->bias[2];
        int32_t sum3 = block->bias[3];
        sum0 = vmladavaq_s16(sum0, vreinterpretq_s16_s32(vldrwq_gather_base_s32(at, 0)), x);
        sum1 = vmladavaq_s16(sum1, vreinterpretq_s16_s32(vldrwq_gather_base_s32(at, 4)), x);
        sum2 = vmladavaq_s16(sum2, vreinterpretq_s16_s32(vldrwq_gather_base_s32(at, 8)), x);
        sum3 = vmladavaq_s16(sum3, vreinterpretq_s16_s32(vldrwq_gather_base_s32(at, 12)), x);
        at = vaddq_n_u32(at, pairs_bytes);
        ADD_ROW(sum0, vldrwq_gather_base_s32(at, 0), fine0, coarse0);
        ADD_ROW(sum1, vldrwq_gather_base_s32(at, 4), fine0, coarse0);
        ADD_ROW(sum2, vldrwq_gather_base_s32(at, 8), fine0, coarse0);
        ADD_ROW(sum3, vldrwq_gather_base_s32(at, 12), fine0, coarse0);
        ADD_ROW(sum0, vldrwq_gather_base_s32(at, 64), fine1, coarse1);
        ADD_ROW(sum1, vldrwq_gather_base_s32(at, 68), fine1, coarse1);
        ADD_ROW(sum2, vldrwq_gather_base_s32(at, 72), fine1, coarse1);
        ADD_ROW(sum3, vldrwq_gather_base_s32(at, 76), fine1, coarse1);
        at = vaddq_n_u32(at, 8 * WORDS_BYTES);
        sums[0] = sum0;
        sums[LANES] = sum1;
        sums[2 * LANES] = sum2;
        sums[3 * LANES] = sum3;
        sums++;
        block++;
    }
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const uint32_t unit_bytes = WORDS_BYTES * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const int resident = layer->own_quads == 8 && layer->wide_pairs > 0 && layer->wide_pairs <= LANES;
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    const es_block_t *block = layer->blocks;
    uint32_t weights = (uint32_t)layer->weights;
    int32_t sums[4 * LANES] = {0};
    unsigned unit;

    for (unit = 0; unit < layer->hidden_size; unit += LANES) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < LANES ? left : LANES;
        if (resident) {
            sum_units_of_eight_quads(layer, block, weights, below, state, sums, count);
        } else {
            sum_units(layer, block, weights, below, state, sums, count);
        }
        update_units(block, sums, cell + unit, scratch + unit, layer->cell_frac_bits, vctp32q(left));
        block += LANES;
        weights += LANES * unit_bytes;
    }
    for (unit = 0; unit < ES_QUAD * layer->own_quads; unit += 8) {
        const mve_pred16_t active = vctp16q(ES_QUAD * layer->own_quads - unit);
        vstrhq_p_s16(state + unit, vldrhq_z_s16(scratch + unit, active), active);
    }
}
#endif
