/* es_lstm.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4u
#define ES_MVE_BLOCK_UNITS 1
#include "es_mve.h"

/* sigmoid, Q15, from 2^16 times a tanh: (t + 2^31) / 2. %q[most]: 2^31 - 1 */
#define SIGMOID(value) "vrhadd.s32 " value ", " value ", %q[most]\n\t"

/* Updates gates and states of `groups` groups of four units, at least one, or of one group of fewer `units`. sums
 * [4 groups, 4]; cell, operands [4 groups]. In lanes beyond the units the sums are 0, so input and output gate are 0
 * and the cell state stays 0. */
static __attribute__((noinline)) void update_groups(const es_block_t *block, const int32_t *sums, int16_t *cell,
                                                    int16_t *operands, int32_t frac_bits, unsigned units, unsigned groups)
{
    uint32x4_t at = es_mve_multipliers(block, units);
    int32x4_t x;
    int32x4_t y;

    __asm__ volatile(
        ES_MVE_LOOP(
            ES_MVE_LOAD_ROWS
            ES_MVE_RESULTS
            ES_MVE_TANH("q0") ES_MVE_TANH("q1") ES_MVE_TANH("q2") ES_MVE_TANH("q3")
            SIGMOID("q0") SIGMOID("q1") SIGMOID("q3")
            "vmullt.s16 q0, q0, q2\n\tvshl.s32 q0, %[product_shift]\n\t"
            "vshr.s32 q1, q1, #16\n\tvldrh.s32 %q[x], [%[cell]]\n\tvmul.i32 q1, q1, %q[x]\n\t"
            "vadd.i32 q0, q0, q1\n\tvqrshrnb.s32 q1, q0, #15\n\tvstrh.32 q1, [%[cell]], #8\n\t"
            "vmovlb.s16 q0, q1\n\tvshl.s32 q0, %[argument_shift]\n\t" /* argument of tanh(c), less 2^19 */
            ES_MVE_TANH_SIGNED("q0")
            "vmullt.s16 q0, q0, q3\n\tvshr.s32 q0, q0, #15\n\t"
            ES_MVE_STORE_OPERANDS("q0"))
        : [at] "+w"(at), [sums] "+r"(sums), [cell] "+l"(cell), [operands] "+l"(operands), [x] "=&w"(x), [y] "=&w"(y)
        : [most] "w"(vdupq_n_s32(INT32_MAX)), [product_shift] "r"(frac_bits - 15),
          [argument_shift] "r"((int32_t)ES_ARGUMENT_FRAC_BITS - frac_bits), [table] "r"(es_tanh_dsp_table),
          [middle] "r"(es_tanh_dsp_table + ES_TABLE_WORDS / 2u), [shifts] "r"(es_mve_operand_shifts), [count] "r"(groups)
        : ES_MVE_UPDATE_CLOBBERS);
}

/* A step in batches of units. */
static __attribute__((noinline)) void usual_step(const es_layer_t *layer, const int16_t *below, int16_t *state,
                                                 int16_t *scratch)
{
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    int16_t *const operands = es_mve_at_once(layer->hidden_size) ? state : scratch;
    const int32_t frac_bits = layer->cell_frac_bits;
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    unsigned unit;

    for (unit = 0; unit < layer->hidden_size; unit += ES_MVE_BATCH) {
        const unsigned left = layer->hidden_size - unit;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const unsigned rest = count % ES_MVE_LANES;
        const unsigned last = unit + count - rest;
        es_mve_sums(layer, below, state, unit, count, sums);
        if (count > rest) {
            update_groups(layer->blocks + unit, sums, cell + unit, operands + unit, frac_bits, ES_MVE_LANES,
                          count / ES_MVE_LANES);
        }
        if (rest > 0u) {
            update_groups(layer->blocks + last, sums + ES_BLOCK_ROWS * (count - rest), cell + last, operands + last,
                          frac_bits, rest, 1u);
        }
    }
    es_mve_replace(layer, operands, state);
}

/* A step of a layer that is known. */
static __attribute__((noinline)) void known_step(const es_layer_t *layer, const int16_t *below, int16_t *state)
{
    int32_t sums[ES_MVE_KNOWN_BLOCKS * ES_BLOCK_ROWS];
    es_mve_known_sums(layer, below, state, sums);
    update_groups(layer->blocks, sums, state + ES_MVE_KNOWN_UNITS, state, layer->cell_frac_bits, ES_MVE_LANES,
                  ES_MVE_KNOWN_UNITS / ES_MVE_LANES);
}

void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    if (es_mve_is_known(layer) != 0) {
        known_step(layer, below, state);
    } else {
        usual_step(layer, below, state, scratch);
    }
}
#endif
