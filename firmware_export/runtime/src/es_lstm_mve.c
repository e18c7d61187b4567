/* es_lstm.c for parts with Helium: the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#include <arm_mve.h>

#include "edge_seq.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define LANES 4u               /* quads in a group; units in a vector */
#define BATCH 16u              /* units whose sums are taken before their gates */
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

/* tanh of four arguments, Q15, shifted right by `more`; see ES_DSP_TANH. The index saturates as a shift to the left. */
#define TANH4(argument, more) vshrq_n_s32(tanh4_word(argument), 16 + (more))
#define SIGMOID4(argument) vaddq_n_s32(TANH4(argument, 1), 16384)

ALWAYS_INLINE int32x4_t tanh4_word(int32x4_t argument)
{
    const uint32x4_t index = vshrq_n_u32(vqshluq_n_s32(argument, 12), 24);
    const int32x4_t word = vldrwq_gather_shifted_offset_s32(es_tanh_dsp_table, index);
    return vaddq_s32(word, vmullbq_int_s16(vreinterpretq_s16_s32(word), vreinterpretq_s16_s32(argument)));
}

/* y of one gate of the units, from their sums. */
#define RESULT4(gate)                                                                            \
    vmulhq_s32(vldrwq_s32(sums + BATCH * (gate)),                                                \
               vshlq_n_s32(vldrhq_gather_offset_z_s32(&blocks->multiplier[gate], strides, active), 16))

static const uint32_t block_strides[LANES] = {0, sizeof(es_block_t), 2 * sizeof(es_block_t), 3 * sizeof(es_block_t)};
static const int32_t operand_shifts[LANES] = {0, 0, -8, -8};

/* Gates and states of `left` units. sums [4, BATCH]: gate by gate; cell, hidden [left, to a multiple of four] */
static __attribute__((noinline)) void update_units(const es_block_t *blocks, const int32_t *sums, int16_t *cell,
                                                   int16_t *hidden, int32_t frac_bits, int32_t left)
{
    const uint32x4_t strides = vldrwq_u32(block_strides);

    for (; left > 0; left -= (int32_t)LANES) {
        const mve_pred16_t active = vctp32q((uint32_t)left);
        int32x4_t c, t, h;

        t = SIGMOID4(RESULT4(0));
        t = vshlq_r_s32(vmulq_s32(t, TANH4(RESULT4(2), 0)), frac_bits - 15);
        c = vmulq_s32(SIGMOID4(RESULT4(1)), vldrhq_z_s32(cell, active));
        c = vrshrq_n_s32(vaddq_s32(c, t), 15);
        c = vmovlbq_s16(vqmovnbq_s32(vreinterpretq_s16_s32(c), c));
        vstrhq_p_s32(cell, c, active);
        t = vaddq_n_s32(vshlq_r_s32(c, (int32_t)ES_ARGUMENT_FRAC_BITS - frac_bits), ES_ARGUMENT_ZERO);
        h = vshrq_n_s32(vmulq_s32(SIGMOID4(RESULT4(3)), TANH4(t, 0)), 15);
        h = vrshlq_s32(h, vldrwq_s32(operand_shifts));
        vstrhq_s32(hidden, h); /* 0 beyond the units: their multipliers were read as 0, and so is their output gate */
        blocks += LANES;
        sums += LANES;
        cell += LANES;
        hidden += LANES;
    }
}

/* Sums of `count` units, 1 .. BATCH, gate by gate. Any sizes. */
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
        sums[BATCH] = unit_sums[1];
        sums[2 * BATCH] = unit_sums[2];
        sums[3 * BATCH] = unit_sums[3];
        sums++;
        block++;
    }
}

/* One row of a pair of wide columns. */
#define ADD_WIDE(sum, offset, x) \
    ((sum) = vmladavaq_s16((sum), vreinterpretq_s16_s32(vldrwq_gather_base_s32(at, (offset))), (x)))

/* Sums of a unit in a first layer of eight quads with up to eight pairs, if `many` more than four. Lanes beyond the
 * pairs read weights of the unit's quads; they meet zeros. */
#define SUM_UNIT(many)                                                                           \
    do {                                                                                         \
        int32_t sum0 = block->bias[0];                                                           \
        int32_t sum1 = block->bias[1];                                                           \
        int32_t sum2 = block->bias[2];                                                           \
        int32_t sum3 = block->bias[3];                                                           \
        ADD_WIDE(sum0, 0, x0);                                                                   \
        ADD_WIDE(sum1, 4, x0);                                                                   \
        ADD_WIDE(sum2, 8, x0);                                                                   \
        ADD_WIDE(sum3, 12, x0);                                                                  \
        if (many) {                                                                              \
            ADD_WIDE(sum0, 64, x1);                                                              \
            ADD_WIDE(sum1, 68, x1);                                                              \
            ADD_WIDE(sum2, 72, x1);                                                              \
            ADD_WIDE(sum3, 76, x1);                                                              \
        }                                                                                        \
        at = vaddq_n_u32(at, pairs_bytes);                                                       \
        ADD_ROW(sum0, vldrwq_gather_base_s32(at, 0), fine0, coarse0);                            \
        ADD_ROW(sum1, vldrwq_gather_base_s32(at, 4), fine0, coarse0);                            \
        ADD_ROW(sum2, vldrwq_gather_base_s32(at, 8), fine0, coarse0);                            \
        ADD_ROW(sum3, vldrwq_gather_base_s32(at, 12), fine0, coarse0);                           \
        ADD_ROW(sum0, vldrwq_gather_base_s32(at, 64), fine1, coarse1);                           \
        ADD_ROW(sum1, vldrwq_gather_base_s32(at, 68), fine1, coarse1);                           \
        ADD_ROW(sum2, vldrwq_gather_base_s32(at, 72), fine1, coarse1);                           \
        ADD_ROW(sum3, vldrwq_gather_base_s32(at, 76), fine1, coarse1);                           \
        at = vaddq_n_u32(at, 8 * WORDS_BYTES);                                                   \
        sums[0] = sum0;                                                                          \
        sums[BATCH] = sum1;                                                                      \
        sums[2 * BATCH] = sum2;                                                                  \
        sums[3 * BATCH] = sum3;                                                                  \
        sums++;                                                                                  \
        block++;                                                                                 \
        count--;                                                                                 \
        __asm__ volatile("" : "+r"(count)); /* else gcc unrolls, and spills all it has loaded */ \
    } while (count > 0)

/* The same as sum_units: features and operands stay in registers. */
static __attribute__((noinline)) void sum_units_of_eight_quads(const es_layer_t *layer, const es_block_t *block,
                                                               uint32_t weights, const int16_t *features,
                                                               const int16_t *own, int32_t *sums, unsigned count)
{
    const uint32_t pairs_bytes = WORDS_BYTES * layer->wide_pairs;
    const uint32_t more = layer->wide_pairs > LANES ? layer->wide_pairs - LANES : 0u;
    const int32_t *const words = (const int32_t *)(const void *)features;
    const int16x8_t x0 = vreinterpretq_s16_s32(vldrwq_z_s32(words, vctp32q(layer->wide_pairs)));
    const int32x4x2_t z0 = vld2q_s32((const int32_t *)(const void *)own);
    const int32x4x2_t z1 = vld2q_s32((const int32_t *)(const void *)(own + LANES * ES_QUAD));
    const int16x8_t fine0 = vreinterpretq_s16_s32(z0.val[0]);
    const int16x8_t coarse0 = vreinterpretq_s16_s32(z0.val[1]);
    const int16x8_t fine1 = vreinterpretq_s16_s32(z1.val[0]);
    const int16x8_t coarse1 = vreinterpretq_s16_s32(z1.val[1]);
    uint32x4_t at = vaddq_n_u32(four(ROW_OFFSETS), weights);

    if (more == 0) {
        const int16x8_t x1 = x0; /* not used */
        SUM_UNIT(0);
    } else {
        const int16x8_t x1 = vreinterpretq_s16_s32(vldrwq_z_s32(words + LANES, vctp32q(more)));
        SUM_UNIT(1);
    }
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const uint32_t unit_bytes = WORDS_BYTES * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const int resident = layer->own_quads == 8 && layer->wide_pairs > 0 && layer->wide_pairs <= 2 * LANES;
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    const es_block_t *block = layer->blocks;
    uint32_t weights = (uint32_t)layer->weights;
    int32_t sums[4 * BATCH];
    unsigned unit;

    for (unit = 0; unit < 4 * BATCH; unit += LANES) { /* lanes beyond the last unit are computed with, and not stored */
        vstrwq_s32(sums + unit, vdupq_n_s32(0));
    }
    for (unit = 0; unit < layer->hidden_size; unit += BATCH) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < BATCH ? left : BATCH;
        if (resident) {
            sum_units_of_eight_quads(layer, block, weights, below, state, sums, count);
        } else {
            sum_units(layer, block, weights, below, state, sums, count);
        }
        update_units(block, sums, cell + unit, scratch + unit, layer->cell_frac_bits, (int32_t)count);
        block += BATCH;
        weights += BATCH * unit_bytes;
    }
    for (unit = 0; unit < ES_QUAD * layer->own_quads; unit += 8) {
        const mve_pred16_t active = vctp16q(ES_QUAD * layer->own_quads - unit);
        vstrhq_p_s16(state + unit, vldrhq_z_s16(scratch + unit, active), active);
    }
}
#endif
