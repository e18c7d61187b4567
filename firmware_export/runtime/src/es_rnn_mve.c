/* es_rnn.c for parts with Helium. It computes the same integers. */
#include "es_kernel.h"
#include "es_tanh.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4u
#define ES_MVE_BLOCK_UNITS 4
#include "es_mve.h"

/* Results, gates and operands of `count` blocks, at least one: sums [count, 4], operands [4 count]. */
ES_MVE_INLINE void update_blocks(const es_block_t *block, const int32_t *sums, int16_t *operands, unsigned count)
{
    const int16_t *multipliers = block->multiplier;
    const int32x4_t shifts = vldrwq_s32(es_mve_operand_shifts);
    int32x4_t x;
    int32x4_t y;

    /* q0: the four units of a block */
    __asm__ volatile(
        ES_MVE_LOOP(
            "vldrh.s32 q0, [%[multipliers]], #24\n\tvshl.i32 q0, q0, #16\n\t"
            "vldrw.u32 %q[x], [%[sums]], #16\n\tvmulh.s32 q0, q0, %q[x]\n\t"
            ES_MVE_TANH("q0")
            "vshr.s32 q0, q0, #16\n\tvrshl.s32 q0, q0, %q[shifts]\n\tvstrh.32 q0, [%[operands]], #8\n\t")
        : [sums] "+r"(sums), [multipliers] "+l"(multipliers), [operands] "+l"(operands), [x] "=&w"(x), [y] "=&w"(y)
        : [table] "r"(es_tanh_dsp_table), [shifts] "w"(shifts), [count] "r"(count)
        : ES_MVE_UPDATE_CLOBBERS);
}

/* A step in batches of blocks. */
static __attribute__((noinline)) void usual_step(const es_layer_t *layer, const int16_t *below, int16_t *state,
                                                 int16_t *scratch)
{
    int16_t *const operands = es_mve_at_once(layer->own_quads) ? state : scratch;
    int32_t sums[ES_MVE_BATCH * ES_BLOCK_ROWS];
    unsigned quad;

    for (quad = 0; quad < layer->own_quads; quad += ES_MVE_BATCH) {
        const unsigned left = layer->own_quads - quad;
        const unsigned count = left < ES_MVE_BATCH ? left : ES_MVE_BATCH;
        es_mve_sums(layer, below, state, quad, count, sums);
        update_blocks(layer->blocks + quad, sums, operands + ES_QUAD * quad, count);
    }
    es_mve_replace(layer, operands, state);
}

/* A step of a layer that is known. */
static __attribute__((noinline)) void known_step(const es_layer_t *layer, const int16_t *below, int16_t *state)
{
    int32_t sums[ES_MVE_KNOWN_BLOCKS * ES_BLOCK_ROWS];
    es_mve_known_sums(layer, below, state, sums);
    update_blocks(layer->blocks, sums, state, ES_MVE_KNOWN_BLOCKS);
}

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    if (es_mve_is_known(layer) != 0) {
        known_step(layer, below, state);
    } else {
        usual_step(layer, below, state, scratch);
    }
}
#endif
