/* es_fastgrnn.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4u
#define ES_MVE_BLOCK_UNITS 4
#include "es_mve.h"

#define OTHER_BYTES (2u * ES_FASTGRNN_OFFSET_WORDS) /* the update offsets of a block */

void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    int16_t *const operands = es_mve_at_once(layer->own_quads) ? state : scratch;
    const int16_t *const weights = layer->weights + ES_FASTGRNN_HEAD_WORDS;
    const int32_t zeta = es_fastgrnn_zeta(layer);
    const int32_t most = zeta * (1 << 15) + es_fastgrnn_nu(layer); /* what is taken if nothing is kept, below 2^31 */
    const uint32_t offset_bytes = 2u * (8u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads));
    const int32x4_t shifts = vldrwq_s32(es_mve_operand_shifts);
    uint32_t offsets = (uint32_t)weights + offset_bytes;
    int32_t all_sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    int16_t *to = operands;
    int16_t *units = hidden;
    unsigned quad;

    for (quad = 0; quad < layer->own_quads; quad += ES_MVE_BATCH) {
        const unsigned left = layer->own_quads - quad;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        const int16_t *multipliers = layer->blocks[quad].multiplier;
        const int32_t *sums = all_sums;
        int32x4_t x;
        int32x4_t y;

        es_mve_sums_between(layer, weights, OTHER_BYTES, below, state, quad, count, all_sums);
        /* q0: results of the four units of a block, then their new gate; q1: z; q2: zeta (1 - z) + nu */
        __asm__ volatile(
            ES_MVE_LOOP(
                "vldrh.s32 q0, [%[multipliers]], #24\n\tvshl.i32 q0, q0, #16\n\t"
                "vldrw.u32 %q[x], [%[sums]], #16\n\tvmulh.s32 q0, q0, %q[x]\n\t"
                "vldrw.u32 %q[x], [%[offsets]]\n\tadd %[offsets], %[offsets], %[block_bytes]\n\t"
                "vshr.s32 q1, q0, #1\n\tvadd.i32 q1, q1, %q[x]\n\t"
                ES_MVE_TANH("q1") "vshr.s32 q1, q1, #17\n\tvadd.i32 q1, q1, %[half]\n\t"
                "vmov q2, %q[most]\n\tvmla.s32 q2, q1, %[minus_zeta]\n\t"
                ES_MVE_TANH("q0") "vshllt.s16 q0, q0, #16\n\tvmulh.s32 q0, q0, q2\n\t"
                "vldrh.s32 %q[x], [%[units]]\n\tvmul.i32 q1, q1, %q[x]\n\tvshr.s32 q1, q1, #1\n\t"
                "vadd.i32 q0, q0, q1\n\tvqrshrnb.s32 q1, q0, #14\n\tvmovlb.s16 q0, q1\n\t"
                "vstrh.32 q0, [%[units]], #8\n\tvrshl.s32 q0, q0, %q[shifts]\n\tvstrh.32 q0, [%[operands]], #8\n\t")
            : [sums] "+r"(sums), [multipliers] "+l"(multipliers), [operands] "+l"(to), [units] "+l"(units),
              [offsets] "+r"(offsets), [x] "=&w"(x), [y] "=&w"(y)
            : [block_bytes] "r"(offset_bytes + OTHER_BYTES), [table] "r"(es_tanh_dsp_table), [half] "r"(1 << 14),
              [minus_zeta] "r"(-zeta), [most] "w"(vdupq_n_s32(most)), [shifts] "w"(shifts), [count] "r"(count)
            : "q0", "q1", "q2", "lr", "cc", "memory");
    }
    es_mve_replace(layer, operands, state);
    for (quad = layer->hidden_size; quad < ES_QUAD * layer->own_quads; quad++) {
        hidden[quad] = 0;
    }
}
#endif
