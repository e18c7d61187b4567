#include "es_rows.h"

#include "es_fixed.h"
#include "es_kernel.h"

static inline int32_t pair_product(const ES_ROM int16_t *weights, const int16_t *features)
{
    int32_t sum = (int32_t)ES_ROM_INT16(weights) * features[0] + (int32_t)ES_ROM_INT16(weights + 1) * features[1];
    ES_KEEP_SCALAR(sum);
    return sum;
}

/* For a GRU; where a kernel has its own, for one with weights of 4 bits. */
const ES_ROM int16_t *es_rows3_wide(const ES_ROM int16_t *weights, const int16_t *features, uint16_t pairs,
                                    int32_t *accumulators)
{
    for (; pairs > 0u; pairs--) {
        accumulators[0] += pair_product(weights, features);
        accumulators[1] += pair_product(weights + 2, features);
        accumulators[2] += pair_product(weights + 4, features);
        weights += 6;
        features += 2;
    }
    return weights;
}

#if ES_PLAIN_CELLS || !ES_OWN_ROWS

/* The low byte as the signed weight of a fine column, without an implementation-defined conversion. */
static inline int16_t fine_weight(int16_t word)
{
    const uint16_t raised = (uint16_t)(((uint16_t)word & 0xFFu) ^ 0x80u); /* 0 .. 255 */
    return (int16_t)((int16_t)raised - 0x80);
}

/* Adds one row of a quad. Each word is used twice: as a whole it is the weight of a coarse column, its low byte is the
 * weight of a fine one. This is a macro because gcc -Os would call an inline function here, which takes 1.5 times as
 * long. */
#define ADD_QUAD(accumulator, weights)                                                                    \
    do {                                                                                                  \
        const int16_t first = ES_ROM_INT16(weights);                                                      \
        const int16_t second = ES_ROM_INT16((weights) + 1);                                               \
        int32_t sum = (int32_t)fine_weight(first) * fine0 + (int32_t)first * coarse0 +                    \
                      (int32_t)fine_weight(second) * fine1 + (int32_t)second * coarse1;                   \
        ES_KEEP_SCALAR(sum);                                                                              \
        (accumulator) += sum;                                                                             \
    } while (0)

#if ES_PLAIN_CELLS /* for a GRU */
const ES_ROM int16_t *es_rows3_narrow(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    for (; quads > 0u; quads--) {
        const int16_t fine0 = operands[0];
        const int16_t fine1 = operands[1];
        const int16_t coarse0 = operands[2];
        const int16_t coarse1 = operands[3];
        ADD_QUAD(accumulators[0], weights);
        ADD_QUAD(accumulators[1], weights + 2);
        ADD_QUAD(accumulators[2], weights + 4);
        weights += 6;
        operands += ES_QUAD;
    }
    return weights;
}
#endif

#if !ES_OWN_ROWS /* else a file of the kernel defines them */
const ES_ROM int16_t *es_rows4_wide(const ES_ROM int16_t *weights, const int16_t *features, uint16_t pairs,
                                    int32_t *accumulators)
{
    for (; pairs > 0u; pairs--) {
        accumulators[0] += pair_product(weights, features);
        accumulators[1] += pair_product(weights + 2, features);
        accumulators[2] += pair_product(weights + 4, features);
        accumulators[3] += pair_product(weights + 6, features);
        weights += 8;
        features += 2;
    }
    return weights;
}

const ES_ROM int16_t *es_rows4_narrow(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    for (; quads > 0u; quads--) {
        const int16_t fine0 = operands[0];
        const int16_t fine1 = operands[1];
        const int16_t coarse0 = operands[2];
        const int16_t coarse1 = operands[3];
        ADD_QUAD(accumulators[0], weights);
        ADD_QUAD(accumulators[1], weights + 2);
        ADD_QUAD(accumulators[2], weights + 4);
        ADD_QUAD(accumulators[3], weights + 6);
        weights += 8;
        operands += ES_QUAD;
    }
    return weights;
}
#endif
#endif

#if ES_PLAIN_CELLS && ES_KERNEL != ES_KERNEL_NEON /* then es_rows_neon.c defines it */
const ES_ROM int16_t *es_rows4_block(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                     const ES_ROM int16_t *weights, const int16_t *below, const int16_t *own,
                                     int32_t *results)
{
    es_rows4_begin(block, results);
    weights = es_rows4_wide(weights, below, layer->wide_pairs, results);
    weights = es_rows4_narrow(weights, below, layer->below_quads, results);
    weights = es_rows4_narrow(weights, own, layer->own_quads, results);
    es_rows4_end(block, results);
    return weights;
}
#endif

#if !ES_OWN_RESULTS
/* A macro, so that no compiler calls `add` through a pointer. */
#define RESULTS(name, add)                                                                                    \
    const ES_ROM int16_t *name(const ES_ROM es_block_t *block, const ES_ROM int16_t *weights,                 \
                               const es_seen_t *seen, unsigned blocks, int32_t *results)                      \
    {                                                                                                         \
        for (; blocks > 0u; blocks--) {                                                                       \
            es_rows4_begin(block, results);                                                                   \
            weights = (add)(weights, seen->first, seen->first_groups, results);                               \
            weights = (add)(weights, seen->second, seen->second_groups, results);                             \
            es_rows4_end(block, results);                                                                     \
            block++;                                                                                          \
            results += ES_BLOCK_ROWS;                                                                         \
        }                                                                                                     \
        return weights;                                                                                       \
    }

RESULTS(es_rows4_wide_results, es_rows4_wide)
RESULTS(es_rows4_narrow_results, es_rows4_narrow)
#endif
