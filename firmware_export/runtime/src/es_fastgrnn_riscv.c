/* es_fastgrnn.c for RV32 with multiplication. It computes the same integers. */
#include "edge_seq.h"
#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_RISCV
#include "es_cells.h"
#include "es_riscv.h"

/* What a unit needs besides its result, in registers during a step. */
typedef struct {
    es_riscv_tanh_t tanh;
    int32_t zeta;
    int32_t nu;
} constants_t;

/* The new hidden state of a unit, from its result and its update offset. */
ES_RISCV_INLINE int16_t updated(const constants_t *constants, int32_t result, int32_t offset, int16_t hidden)
{
    const int32_t keep = es_riscv_sigmoid(es_riscv_tanh(&constants->tanh, es_shift_right(result, 1) + offset));
    const int32_t take = constants->zeta * (es_power2(15) - keep) + constants->nu; /* Q30, below 2^31 */
    const int16_t new_gate = (int16_t)es_riscv_value(es_riscv_tanh(&constants->tanh, result));
    const int32_t sum = es_shift_right(keep * hidden, 1) + es_riscv_mulw(take, new_gate);
    return es_saturate16(es_round_shift(sum, 14));
}

/* A block is a quad of units. Those beyond the last are computed too, and not taken over. */
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const constants_t constants = {es_riscv_tanh_begin(), es_fastgrnn_zeta(layer), es_fastgrnn_nu(layer)};
    const int16_t *const pairs_end = below + 2u * layer->wide_pairs;
    const int16_t *const quads_end = pairs_end + ES_QUAD * layer->below_quads;
    int16_t *const own_end = state + ES_QUAD * layer->own_quads;
    const int16_t *const hidden_end = own_end + ES_QUAD * layer->own_quads;
    const int16_t *weights = layer->weights + ES_FASTGRNN_HEAD_WORDS;
    const es_block_t *block = layer->blocks;
    int16_t *hidden;
    unsigned unit;

    (void)scratch;
    for (hidden = own_end; hidden != hidden_end; hidden += ES_QUAD) {
        const es_riscv_sums_t sums = es_riscv_sums4(block, weights, below, pairs_end, quads_end, state, own_end);
        const int16_t *const offsets = sums.weights;
        hidden[0] = updated(&constants, es_riscv_mulw(sums.s0, block->multiplier[0]), es_two_words(offsets), hidden[0]);
        hidden[1] = updated(&constants, es_riscv_mulw(sums.s1, block->multiplier[1]), es_two_words(offsets + 2), hidden[1]);
        hidden[2] = updated(&constants, es_riscv_mulw(sums.s2, block->multiplier[2]), es_two_words(offsets + 4), hidden[2]);
        hidden[3] = updated(&constants, es_riscv_mulw(sums.s3, block->multiplier[3]), es_two_words(offsets + 6), hidden[3]);
        weights = offsets + ES_FASTGRNN_OFFSET_WORDS;
        block++;
    }
    for (unit = layer->hidden_size; unit < ES_QUAD * layer->own_quads; unit++) {
        own_end[unit] = 0;
    }
    es_riscv_operands(state, own_end, layer);
}
#endif
