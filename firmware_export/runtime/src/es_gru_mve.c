/* es_gru.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 3u
#define ES_MVE_BLOCK_UNITS 1
#include "es_mve.h"

/* The column that stands alone: its weights in the first unit of a group, bytes from there to the next unit (0: no such
 * column), and the feature. */
typedef struct {
    uint32_t weights;
    uint32_t unit_bytes;
    int32_t feature;
} alone_t;

/* Adds the column that stands alone: a unit has the weights of two rows in a word, that of the third in the next. */
#define ADD_ALONE                                                                                \
    "vldrw.u32 %q[x], [%q[lanes]]\n\t"                                                           \
    "vmovlb.s16 %q[y], %q[x]\n\tvmla.s32 q0, %q[y], %[feature]\n\t"                              \
    "vmovlt.s16 %q[y], %q[x]\n\tvmla.s32 q1, %q[y], %[feature]\n\t"                              \
    "vldrw.u32 %q[x], [%q[lanes], #4]\n\t"                                                       \
    "vmovlb.s16 %q[y], %q[x]\n\tvmla.s32 q2, %q[y], %[feature]\n\t"                              \
    "vadd.i32 %q[lanes], %q[lanes], %[group_bytes]\n\t"

/* q0: reset gate, q1: update gate, q2, q3: input and hidden part of the new gate */
#define UPDATE                                                                                   \
    ES_MVE_RESULTS                                                                               \
    ES_MVE_TANH("q0") /* 2 r - 1; its product with half of the hidden part, and the other half */ \
    "vshllt.s16 q0, q0, #16\n\tvmulh.s32 q0, q0, q3\n\tvadd.i32 q2, q2, q0\n\t"                  \
    "vshr.s32 q3, q3, #1\n\tvadd.i32 q2, q2, q3\n\t"                                             \
    ES_MVE_TANH("q2") /* n */                                                                    \
    ES_MVE_TANH("q1") "vshr.s32 q1, q1, #17\n\tvadd.i32 q1, q1, %[half]\n\t" /* z */             \
    "vshr.s32 q2, q2, #16\n\tvldrh.s32 %q[x], [%[hidden]]\n\tvsub.i32 %q[x], %q[x], q2\n\t"     \
    "vmul.i32 q0, q1, %q[x]\n\tvmla.s32 q0, q2, %[most]\n\tvrshr.s32 q0, q0, #15\n\t" /* z (h - n) + 32767 n */ \
    "vstrh.32 q0, [%[hidden]], #8\n\t"                                                           \
    ES_MVE_STORE_OPERANDS("q0")

/* Updates gates and states of `groups` groups of four units, at least one, or of one group of fewer `units`. sums
 * [4 groups, 4]; hidden, operands [4 groups]. */
static __attribute__((noinline)) void update_groups(const es_block_t *block, const int32_t *sums, const alone_t *alone,
                                                    int16_t *hidden, int16_t *operands, unsigned units, unsigned groups)
{
    uint32x4_t at = es_mve_multipliers(block, units);
    int32x4_t x;
    int32x4_t y;

    if (alone->unit_bytes != 0u) {
        const uint32x4_t lane = vminq_u32(vidupq_n_u32(0, 1), vdupq_n_u32(units - 1u));
        uint32x4_t lanes = vaddq_n_u32(vmulq_n_u32(lane, alone->unit_bytes), alone->weights);
        __asm__ volatile(
            ES_MVE_LOOP(ES_MVE_LOAD_ROWS ADD_ALONE UPDATE)
            : [at] "+w"(at), [sums] "+r"(sums), [hidden] "+l"(hidden), [operands] "+l"(operands), [x] "=&w"(x),
              [y] "=&w"(y), [lanes] "+w"(lanes)
            : [half] "r"(1 << 14), [most] "r"(32767), [table] "r"(es_tanh_dsp_table), [shifts] "r"(es_mve_operand_shifts),
              [count] "r"(groups), [feature] "r"(alone->feature), [group_bytes] "r"(ES_MVE_LANES * alone->unit_bytes)
            : ES_MVE_UPDATE_CLOBBERS);
    } else {
        __asm__ volatile(
            ES_MVE_LOOP(ES_MVE_LOAD_ROWS UPDATE)
            : [at] "+w"(at), [sums] "+r"(sums), [hidden] "+l"(hidden), [operands] "+l"(operands), [x] "=&w"(x),
              [y] "=&w"(y)
            : [half] "r"(1 << 14), [most] "r"(32767), [table] "r"(es_tanh_dsp_table), [shifts] "r"(es_mve_operand_shifts),
              [count] "r"(groups)
            : ES_MVE_UPDATE_CLOBBERS);
    }
}

/* A step in batches of units. */
static __attribute__((noinline)) void usual_step(const es_layer_t *layer, const int16_t *below, int16_t *state,
                                                 int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int16_t *const operands = es_mve_at_once(layer->hidden_size) ? state : scratch;
    const uint32_t unit_bytes = 2u * es_gru_unit_words(layer);
    alone_t alone = {(uint32_t)layer->weights + ES_MVE_GROUP_BYTES * layer->wide_pairs, 0, 0};
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    unsigned unit;

    if (layer->wide_alone != 0u) {
        alone.unit_bytes = unit_bytes;
        alone.feature = below[2u * layer->wide_pairs];
    }
    for (unit = 0; unit < layer->hidden_size; unit += ES_MVE_BATCH) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const unsigned rest = count % ES_MVE_LANES;
        const unsigned last = unit + count - rest;
        es_mve_sums(layer, below, state, unit, count, sums);
        if (count > rest) {
            update_groups(layer->blocks + unit, sums, &alone, hidden + unit, operands + unit, ES_MVE_LANES,
                          count / ES_MVE_LANES);
        }
        alone.weights += (count - rest) * unit_bytes;
        if (rest > 0u) {
            update_groups(layer->blocks + last, sums + ES_BLOCK_ROWS * (count - rest), &alone, hidden + last,
                          operands + last, rest, 1u);
        }
    }
    es_mve_replace(layer, operands, state);
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        hidden[unit] = 0;
    }
}

/* A step of a layer that is known. */
static __attribute__((noinline)) void known_step(const es_layer_t *layer, const int16_t *below, int16_t *state)
{
    const unsigned pairs = layer->wide_pairs;
    int32_t sums[ES_MVE_KNOWN_BLOCKS * ES_BLOCK_ROWS];
    alone_t alone;
    alone.weights = (uint32_t)layer->weights + ES_MVE_GROUP_BYTES * pairs;
    alone.unit_bytes = layer->wide_alone == 0u ? 0u : 2u * es_gru_unit_words(layer);
    alone.feature = layer->wide_alone == 0u ? 0 : below[2u * pairs];
    es_mve_known_sums(layer, below, state, sums);
    update_groups(layer->blocks, sums, &alone, state + ES_MVE_KNOWN_UNITS, state, ES_MVE_LANES,
                  ES_MVE_KNOWN_UNITS / ES_MVE_LANES);
}

void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    if (es_mve_is_known(layer) != 0) {
        known_step(layer, below, state);
    } else {
        usual_step(layer, below, state, scratch);
    }
}
#endif
