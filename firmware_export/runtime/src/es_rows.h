/* Dot products of the rows of a block (SPEC.md, section 4). Every function returns the address after the weights
 * that it used, as weights are stored in the order of use. No sum can overflow: the range proof of the model bounds
 * every partial sum, in any order, by 2^31 - 1. */
#ifndef ES_ROWS_H
#define ES_ROWS_H

#include <stdint.h>

#include "edge_seq.h"
#include "es_fixed.h"
#include "es_kernel.h"

/* Hides a sum from the compiler, which costs no instruction and keeps it from making vectors of the loop around the sum.
 * gcc 12.2 makes wrong ones for NEON at -O3: the loop of es_rows4_narrow adds two quads at once in two vectors of sums,
 * but the loop that it makes for the last quad goes on from the first vector only, so every second quad is lost. */
#if defined(__ARM_NEON) && defined(__GNUC__) && !defined(__clang__)
#define ES_KEEP_SCALAR(sum) __asm__("" : "+r"(sum))
#else
#define ES_KEEP_SCALAR(sum) (void)0
#endif

/* Sums of a block start at the biases. sums [4] */
static inline void es_rows4_begin(const ES_ROM es_block_t *block, int32_t *sums)
{
    sums[0] = ES_ROM_INT32(&block->bias[0]);
    sums[1] = ES_ROM_INT32(&block->bias[1]);
    sums[2] = ES_ROM_INT32(&block->bias[2]);
    sums[3] = ES_ROM_INT32(&block->bias[3]);
}

/* From the sums of a block to its results, floor(sum * multiplier / 2^16), in place. */
static inline void es_rows4_end(const ES_ROM es_block_t *block, int32_t *sums)
{
    sums[0] = es_mulw(sums[0], ES_ROM_INT16(&block->multiplier[0]));
    sums[1] = es_mulw(sums[1], ES_ROM_INT16(&block->multiplier[1]));
    sums[2] = es_mulw(sums[2], ES_ROM_INT16(&block->multiplier[2]));
    sums[3] = es_mulw(sums[3], ES_ROM_INT16(&block->multiplier[3]));
}

/* weights [pairs, 4, 2], features [2 * pairs], accumulators [4] */
const ES_ROM int16_t *es_rows4_wide(const ES_ROM int16_t *weights, const int16_t *features, uint16_t pairs,
                                    int32_t *accumulators);

/* weights [quads, 4, 2], operands [4 * quads], accumulators [4] */
const ES_ROM int16_t *es_rows4_narrow(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators);

/* What the rows of a block see: groups, pairs of features or quads of operands, in two pieces of memory. The second may
 * be empty. */
typedef struct {
    const int16_t *first;
    const int16_t *second;
    uint16_t first_groups;
    uint16_t second_groups;
} es_seen_t;

/* Blocks of the rows that are left, but not more than one call computes the results of. rows: a multiple of four */
static inline unsigned es_blocks_at_once(unsigned rows)
{
    const unsigned blocks = rows / ES_BLOCK_ROWS;
    return blocks < ES_RESULTS_BLOCKS ? blocks : ES_RESULTS_BLOCKS;
}

/* Results of `blocks` blocks that follow each other, 1 .. ES_RESULTS_BLOCKS, whose rows see the same pairs of features:
 * floor(sum * multiplier / 2^16). weights [blocks, pairs, 4, 2], results [4 * blocks] */
const ES_ROM int16_t *es_rows4_wide_results(const ES_ROM es_block_t *block, const ES_ROM int16_t *weights,
                                            const es_seen_t *seen, unsigned blocks, int32_t *results);

/* The same of rows that see quads of operands. weights [blocks, quads, 4, 2] */
const ES_ROM int16_t *es_rows4_narrow_results(const ES_ROM es_block_t *block, const ES_ROM int16_t *weights,
                                              const es_seen_t *seen, unsigned blocks, int32_t *results);

/* weights [pairs, 3, 2], features [2 * pairs], accumulators [3] */
const ES_ROM int16_t *es_rows3_wide(const ES_ROM int16_t *weights, const int16_t *features, uint16_t pairs,
                                    int32_t *accumulators);

/* weights [quads, 3, 2], operands [4 * quads], accumulators [3] */
const ES_ROM int16_t *es_rows3_narrow(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators);

/* A whole block of a layer whose four rows all see input and state. The accumulators start at the biases.
 * results [4]: floor(accumulator * multiplier / 2^16) */
const ES_ROM int16_t *es_rows4_block(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                     const ES_ROM int16_t *weights, const int16_t *below, const int16_t *own,
                                     int32_t *results);

#endif
