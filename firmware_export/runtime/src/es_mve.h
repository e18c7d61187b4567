/* Shared by the Helium kernels of the three cells: the sums of blocks, the activation, the operands. KERNELS.md
 * explains the design. Define ES_MVE_ROWS before including this: the rows of a block that see an operand, 4, or 3
 * in a GRU; and ES_MVE_BLOCK_UNITS: the units of a block, 1, or 4 in an RNN and a FastGRNN.
 *
 * A lane is a quad, or a pair of wide columns. A row's words of four lanes are gathered at once, multiplied by
 * eight operands and added to one sum. Operands stay in registers while a pass goes over the blocks. No branch
 * depends on data: the time of a step depends only on the model's sizes. */
#ifndef ES_MVE_H
#define ES_MVE_H

#include "es_kernel.h"

#if ES_KERNEL == ES_KERNEL_MVE
#include <arm_mve.h>

#include "edge_seq.h"
#include "es_cells.h"
#include "es_fixed.h"
#include "es_tanh.h"

#define ES_MVE_LANES 4u
#define ES_MVE_BATCH 32u /* blocks whose sums are computed before their gates */
#define ES_MVE_KNOWN_UNITS 32u /* units of a layer whose sums have a loop of their own */
#define ES_MVE_KNOWN_BLOCKS (ES_MVE_KNOWN_UNITS / ES_MVE_BLOCK_UNITS)
#define ES_MVE_GROUP_BYTES (4u * ES_MVE_ROWS) /* weights of a pair or quad */
#define ES_MVE_INLINE static inline __attribute__((always_inline))
#define ES_MVE_PASS static __attribute__((noinline, unused)) void

/* ---------------------------------------------------------------------------------------------------- sums */

/* The loops over blocks are assembly, as gcc 12 spills registers in them. r4, r6, r8, r10: sums (in a GRU r4, r6,
 * r8 for the rows that see features, r4, r6, r10 for those that see the state); %q[at]: addresses of the lanes'
 * groups; lr: blocks left. */

/* Words of two rows, or of one, times features. */
#define ES_MVE_WIDE2(sum_a, at_a, sum_b, at_b)                                                   \
    "vldrw.u32 %q[a], " at_a "\n\tvldrw.u32 %q[b], " at_b "\n\t"                                 \
    "vmladava.s16 " sum_a ", %q[a], %q[x]\n\tvmladava.s16 " sum_b ", %q[b], %q[x]\n\t"
#define ES_MVE_WIDE1(sum, at) "vldrw.u32 %q[a], " at "\n\tvmladava.s16 " sum ", %q[a], %q[x]\n\t"

/* Whole words times coarse operands, low bytes times fine ones. */
#define ES_MVE_NARROW2(sum_a, at_a, sum_b, at_b, fine, coarse)                                   \
    "vldrw.u32 %q[a], " at_a "\n\tvldrw.u32 %q[b], " at_b "\n\t"                                 \
    "vmladava.s16 " sum_a ", %q[a], " coarse "\n\tvmladava.s16 " sum_b ", %q[b], " coarse "\n\t" \
    "vmovlb.s8 %q[a], %q[a]\n\tvmovlb.s8 %q[b], %q[b]\n\t"                                       \
    "vmladava.s16 " sum_a ", %q[a], " fine "\n\tvmladava.s16 " sum_b ", %q[b], " fine "\n\t"
#define ES_MVE_NARROW1(sum, at, fine, coarse)                                                    \
    "vldrw.u32 %q[a], " at "\n\tvmladava.s16 " sum ", %q[a], " coarse "\n\t"                     \
    "vmovlb.s8 %q[a], %q[a]\n\tvmladava.s16 " sum ", %q[a], " fine "\n\t"

#define ES_MVE_AT(offset) "[%q[at], #" offset "]"

/* All rows, for the first four groups and for the next four. */
#if ES_MVE_ROWS == 4
#define ES_MVE_WIDE(first)                                                                       \
    ES_MVE_WIDE2("r4", first, "r6", ES_MVE_AT("4")) ES_MVE_WIDE2("r8", ES_MVE_AT("8"), "r10", ES_MVE_AT("12"))
#define ES_MVE_NARROW_FROM(ahead, third, fine, coarse)                                           \
    ES_MVE_NARROW2("r4", ES_MVE_AT(ahead), "r6", ES_MVE_AT(ahead "+4"), fine, coarse)            \
    ES_MVE_NARROW2("r8", ES_MVE_AT(ahead "+8"), "r10", ES_MVE_AT(ahead "+12"), fine, coarse)
#define ES_MVE_FOUR_GROUPS "64"
#define ES_MVE_THREE_FEATURES 32u /* bytes of a block's weights for three features, as they are in a first layer */
#define ES_MVE_SIX_FEATURES 48u
#define ES_MVE_LOAD_SUMS "ldrd r4, r6, [%[sums]]\n\tldrd r8, r10, [%[sums], #8]\n\t"
#define ES_MVE_STORE_SUMS "strd r8, r10, [%[sums], #8]\n\tstrd r4, r6, [%[sums]], #16\n\t"
#else
#define ES_MVE_WIDE(first)                                                                       \
    ES_MVE_WIDE2("r4", first, "r6", ES_MVE_AT("4")) ES_MVE_WIDE1("r8", ES_MVE_AT("8"))
#define ES_MVE_NARROW_FROM(ahead, third, fine, coarse)                                           \
    ES_MVE_NARROW2("r4", ES_MVE_AT(ahead), "r6", ES_MVE_AT(ahead "+4"), fine, coarse)            \
    ES_MVE_NARROW1(third, ES_MVE_AT(ahead "+8"), fine, coarse)
#define ES_MVE_FOUR_GROUPS "48"
#define ES_MVE_THREE_FEATURES 20u
#define ES_MVE_SIX_FEATURES 36u
#define ES_MVE_LOAD_SUMS "ldrd r4, r6, [%[sums]]\n\tldr r8, [%[sums], %[third]]\n\t"
#define ES_MVE_STORE_SUMS "str r8, [%[sums], %[third]]\n\tstrd r4, r6, [%[sums]], #16\n\t"
#endif

#define ES_MVE_NARROW(third, fine, coarse) ES_MVE_NARROW_FROM("0", third, fine, coarse)
#define ES_MVE_NARROW_NEXT(third, fine, coarse) ES_MVE_NARROW_FROM(ES_MVE_FOUR_GROUPS, third, fine, coarse)

/* A loop over the blocks, at least one. */
#define ES_MVE_LOOP(body) "dls lr, %[count]\n1:\n\t" body "le lr, 1b"
#define ES_MVE_CLOBBERS "r4", "r6", "r8", "r10", "lr", "cc", "memory"

/* Operands of four quads, with the fine pairs separated from the coarse ones. */
typedef struct {
    int16x8_t fine;
    int16x8_t coarse;
} es_mve_operands_t;

/* The blocks of a pass. */
typedef struct {
    uint32_t weights;    /* address of the first group that the pass uses, in the first block */
    uint32_t unit_bytes; /* from there to the same group of the next block */
    int32_t *sums;       /* [count, 4] */
    uint32_t third;      /* offset of the third row's sum: 8, or 12 for a GRU's rows that see the own state */
    unsigned count;      /* number of blocks, at least 1 */
} es_mve_blocks_t;

/* Addresses of the lanes' groups. Lanes beyond `groups` read the last group; their operands are zero. */
ES_MVE_INLINE uint32x4_t es_mve_addresses(uint32_t weights, unsigned groups)
{
    const uint32x4_t offsets = vmulq_n_u32(vidupq_n_u32(0, 1), ES_MVE_GROUP_BYTES);
    return vaddq_n_u32(vminq_u32(offsets, vdupq_n_u32(ES_MVE_GROUP_BYTES * (groups - 1u))), weights);
}

/* The same for exactly four groups. */
ES_MVE_INLINE uint32x4_t es_mve_addresses_of_four(uint32_t weights)
{
    return vaddq_n_u32(vmulq_n_u32(vidupq_n_u32(0, 1), ES_MVE_GROUP_BYTES), weights);
}

/* Loads up to four pairs of features; the lanes beyond are zero. */
ES_MVE_INLINE int16x8_t es_mve_features(const int16_t *features, unsigned pairs)
{
    return vreinterpretq_s16_s32(vldrwq_z_s32((const int32_t *)(const void *)features, vctp32q(pairs)));
}

/* Loads the operands of four quads. */
ES_MVE_INLINE es_mve_operands_t es_mve_operands_of_four(const int16_t *operands)
{
    const int32x4x2_t words = vld2q_s32((const int32_t *)(const void *)operands);
    es_mve_operands_t loaded;
    loaded.fine = vreinterpretq_s16_s32(words.val[0]);
    loaded.coarse = vreinterpretq_s16_s32(words.val[1]);
    return loaded;
}

/* Loads the operands of up to four quads; the lanes beyond are zero. */
ES_MVE_INLINE es_mve_operands_t es_mve_operands(const int16_t *operands, unsigned quads)
{
    const int32_t *const words = (const int32_t *)(const void *)operands;
    const uint32x4_t offsets = vshlq_n_u32(vidupq_n_u32(0, 1), 3);
    es_mve_operands_t loaded;
    loaded.fine = vreinterpretq_s16_s32(vldrwq_gather_offset_z_s32(words, offsets, vctp32q(quads)));
    loaded.coarse = vreinterpretq_s16_s32(vldrwq_gather_offset_z_s32(words + 1, offsets, vctp32q(quads)));
    return loaded;
}

/* Adds up to four pairs. */
ES_MVE_PASS es_mve_add_pairs(const es_mve_blocks_t *blocks, const int16_t *features, unsigned pairs)
{
    uint32x4_t at = es_mve_addresses(blocks->weights, pairs);
    int32_t *sums = blocks->sums;
    int16x8_t a;
    int16x8_t b;

    __asm__ volatile(
        ES_MVE_LOOP(
            ES_MVE_LOAD_SUMS
            ES_MVE_WIDE(ES_MVE_AT("0"))
            "vadd.i32 %q[at], %q[at], %[unit_bytes]\n\t"
            ES_MVE_STORE_SUMS)
        : [at] "+w"(at), [sums] "+r"(sums), [a] "=&w"(a), [b] "=&w"(b)
        : [x] "w"(es_mve_features(features, pairs)), [unit_bytes] "r"(blocks->unit_bytes), [third] "r"(blocks->third),
          [count] "r"(blocks->count)
        : ES_MVE_CLOBBERS);
}

/* Adds up to four quads. */
ES_MVE_PASS es_mve_add_four(const es_mve_blocks_t *blocks, const int16_t *operands, unsigned quads)
{
    const es_mve_operands_t z = es_mve_operands(operands, quads);
    uint32x4_t at = es_mve_addresses(blocks->weights, quads);
    int32_t *sums = blocks->sums;
    int16x8_t a;
    int16x8_t b;

    __asm__ volatile(
        ES_MVE_LOOP(
            ES_MVE_LOAD_SUMS
            ES_MVE_NARROW("r8", "%q[fine]", "%q[coarse]")
            "vadd.i32 %q[at], %q[at], %[unit_bytes]\n\t"
            ES_MVE_STORE_SUMS)
        : [at] "+w"(at), [sums] "+r"(sums), [a] "=&w"(a), [b] "=&w"(b)
        : [fine] "w"(z.fine), [coarse] "w"(z.coarse), [unit_bytes] "r"(blocks->unit_bytes), [third] "r"(blocks->third),
          [count] "r"(blocks->count)
        : ES_MVE_CLOBBERS);
}

/* Adds eight quads. */
ES_MVE_PASS es_mve_add_eight(const es_mve_blocks_t *blocks, const int16_t *operands)
{
    const es_mve_operands_t z0 = es_mve_operands_of_four(operands);
    const es_mve_operands_t z1 = es_mve_operands_of_four(operands + ES_MVE_LANES * ES_QUAD);
    uint32x4_t at = es_mve_addresses_of_four(blocks->weights);
    int32_t *sums = blocks->sums;
    int16x8_t a;
    int16x8_t b;

    __asm__ volatile(
        ES_MVE_LOOP(
            ES_MVE_LOAD_SUMS
            ES_MVE_NARROW("r8", "%q[fine0]", "%q[coarse0]")
            ES_MVE_NARROW_NEXT("r8", "%q[fine1]", "%q[coarse1]")
            "vadd.i32 %q[at], %q[at], %[unit_bytes]\n\t"
            ES_MVE_STORE_SUMS)
        : [at] "+w"(at), [sums] "+r"(sums), [a] "=&w"(a), [b] "=&w"(b)
        : [fine0] "w"(z0.fine), [coarse0] "w"(z0.coarse), [fine1] "w"(z1.fine), [coarse1] "w"(z1.coarse),
          [unit_bytes] "r"(blocks->unit_bytes), [third] "r"(blocks->third), [count] "r"(blocks->count)
        : ES_MVE_CLOBBERS);
}

/* Sets the sums to the biases and adds up to four first pairs and the first eight own quads in one pass, for a first
 * layer. quads_ahead: bytes from the first pair to the first quad. Lanes beyond the pairs read weights of the quads;
 * their features are zero. */
ES_MVE_INLINE void es_mve_begin_eight(const es_mve_blocks_t *blocks, const es_block_t *block,
                                      const int16_t *features, unsigned pairs, const int16_t *operands,
                                      uint32_t quads_ahead)
{
    const uint32_t rest = blocks->unit_bytes - quads_ahead;
    const es_mve_operands_t z0 = es_mve_operands_of_four(operands);
    const es_mve_operands_t z1 = es_mve_operands_of_four(operands + ES_MVE_LANES * ES_QUAD);
    uint32x4_t at = es_mve_addresses_of_four(blocks->weights - rest);
    int32_t *sums = blocks->sums;
    int16x8_t a;
    int16x8_t b;

    __asm__ volatile(
        ES_MVE_LOOP(
            "ldrd r4, r6, [%[block]], #8\n\tldrd r8, r10, [%[block]], #16\n\t"
            "vadd.i32 %q[at], %q[at], %[rest]\n\t"
            ES_MVE_WIDE(ES_MVE_AT("0"))
            "vadd.i32 %q[at], %q[at], %[quads_ahead]\n\t"
            ES_MVE_NARROW("r10", "%q[fine0]", "%q[coarse0]")
            ES_MVE_NARROW_NEXT("r10", "%q[fine1]", "%q[coarse1]")
            "strd r8, r10, [%[sums], #8]\n\tstrd r4, r6, [%[sums]], #16\n\t")
        : [at] "+w"(at), [sums] "+r"(sums), [block] "+r"(block), [a] "=&w"(a), [b] "=&w"(b)
        : [x] "w"(es_mve_features(features, pairs)), [fine0] "w"(z0.fine), [coarse0] "w"(z0.coarse),
          [fine1] "w"(z1.fine), [coarse1] "w"(z1.coarse), [rest] "r"(rest), [quads_ahead] "r"(quads_ahead),
          [count] "r"(blocks->count)
        : ES_MVE_CLOBBERS);
}

/* The same in a layer whose blocks have a known number of bytes for features, %c[ahead], and eight own quads: the
 * addresses move with the first load of a block. %q[at]: addresses of the features in the block before. */
#define ES_MVE_BEGIN_KNOWN                                                                       \
    ES_MVE_LOOP("ldrd r4, r6, [%[block]], #8\n\tldrd r8, r10, [%[block]], #16\n\t"              \
                ES_MVE_WIDE("[%q[at], #%c[ahead]+2*" ES_MVE_FOUR_GROUPS "]!")                    \
                ES_MVE_NARROW_FROM("%c[ahead]", "r10", "%q[fine0]", "%q[coarse0]")               \
                ES_MVE_NARROW_FROM("%c[ahead]+" ES_MVE_FOUR_GROUPS, "r10", "%q[fine1]", "%q[coarse1]") \
                "strd r8, r10, [%[sums], #8]\n\tstrd r4, r6, [%[sums]], #16\n\t")

ES_MVE_INLINE uint32_t es_mve_features_bytes(const es_layer_t *layer)
{
    const uint32_t of_pairs = ES_MVE_GROUP_BYTES * layer->wide_pairs;
    return ES_MVE_ROWS == 4 ? of_pairs : of_pairs + 2u * ES_GRU_ALONE_WORDS * layer->wide_alone;
}

/* True for a first layer of 32 units on three or six features (in an RNN and an LSTM on four or five too). */
ES_MVE_INLINE int es_mve_is_known(const es_layer_t *layer)
{
    int known = 0;
    if (layer->hidden_size == ES_MVE_KNOWN_UNITS && layer->below_quads == 0u) {
        const unsigned columns = 2u * layer->wide_pairs + layer->wide_alone;
        known = columns == ES_MVE_ROWS || columns == 6u; /* three features are four columns or, in a GRU, three */
    }
    return known;
}

/* All sums [ES_MVE_KNOWN_BLOCKS, 4] of a layer that is known, see es_mve_sums_between. */
ES_MVE_PASS es_mve_known_sums(const es_layer_t *layer, const int16_t *below, const int16_t *own, int32_t *sums)
{
    const uint32_t bytes = es_mve_features_bytes(layer);
    const es_mve_operands_t z0 = es_mve_operands_of_four(own);
    const es_mve_operands_t z1 = es_mve_operands_of_four(own + ES_MVE_LANES * ES_QUAD);
    const int16x8_t x = es_mve_features(below, layer->wide_pairs);
    const es_block_t *block = layer->blocks;
    uint32x4_t at =
        es_mve_addresses_of_four((uint32_t)layer->weights - bytes - 2u * ES_MVE_LANES * ES_MVE_GROUP_BYTES);
    int16x8_t a;
    int16x8_t b;

    if (bytes == ES_MVE_THREE_FEATURES) {
        __asm__ volatile(
            ES_MVE_BEGIN_KNOWN
            : [at] "+w"(at), [sums] "+r"(sums), [block] "+r"(block), [a] "=&w"(a), [b] "=&w"(b)
            : [x] "w"(x), [fine0] "w"(z0.fine), [coarse0] "w"(z0.coarse), [fine1] "w"(z1.fine),
              [coarse1] "w"(z1.coarse), [count] "r"(ES_MVE_KNOWN_BLOCKS),
              [ahead] "i"(ES_MVE_THREE_FEATURES)
            : ES_MVE_CLOBBERS);
    } else {
        __asm__ volatile(
            ES_MVE_BEGIN_KNOWN
            : [at] "+w"(at), [sums] "+r"(sums), [block] "+r"(block), [a] "=&w"(a), [b] "=&w"(b)
            : [x] "w"(x), [fine0] "w"(z0.fine), [coarse0] "w"(z0.coarse), [fine1] "w"(z1.fine),
              [coarse1] "w"(z1.coarse), [count] "r"(ES_MVE_KNOWN_BLOCKS),
              [ahead] "i"(ES_MVE_SIX_FEATURES)
            : ES_MVE_CLOBBERS);
    }
}

/* Adds any number of quads, in passes of eight and of up to four. */
ES_MVE_INLINE void es_mve_add_quads(es_mve_blocks_t *blocks, const int16_t *operands, unsigned quads)
{
    while (quads > 0u) {
        const unsigned done = quads >= 2u * ES_MVE_LANES ? 2u * ES_MVE_LANES : quads < ES_MVE_LANES ? quads : ES_MVE_LANES;
        if (done == 2u * ES_MVE_LANES) {
            es_mve_add_eight(blocks, operands);
        } else {
            es_mve_add_four(blocks, operands, done);
        }
        blocks->weights += done * ES_MVE_GROUP_BYTES;
        operands += done * ES_QUAD;
        quads -= done;
    }
}

/* Adds the pairs of features from `pair` on, the quads below, and the own quads from `own_quad` on. */
ES_MVE_PASS es_mve_add_rest(es_mve_blocks_t *blocks, const es_layer_t *layer, const int16_t *below, const int16_t *own,
                            unsigned pair, unsigned own_quad)
{
    blocks->weights += pair * ES_MVE_GROUP_BYTES;
    while (pair < layer->wide_pairs) {
        const unsigned left = layer->wide_pairs - pair;
        const unsigned done = left < ES_MVE_LANES ? left : ES_MVE_LANES;
        es_mve_add_pairs(blocks, below + 2u * pair, done);
        blocks->weights += done * ES_MVE_GROUP_BYTES;
        pair += done;
    }
    blocks->weights += 2u * ES_GRU_ALONE_WORDS * layer->wide_alone; /* the update of the state adds this column */
    es_mve_add_quads(blocks, below, layer->below_quads);
    blocks->third = ES_MVE_ROWS == 4 ? 8u : 12u;
    blocks->weights += own_quad * ES_MVE_GROUP_BYTES;
    es_mve_add_quads(blocks, own + own_quad * ES_QUAD, layer->own_quads - own_quad);
}

/* Computes sums [count, 4] of `count` blocks (1 .. ES_MVE_BATCH) from `first` on, and sets the sums beyond to zero,
 * up to a multiple of four blocks. weights: those of the layer's first block; other_bytes: what else lies between the
 * weights of two blocks. */
ES_MVE_INLINE void es_mve_sums_between(const es_layer_t *layer, const int16_t *weights, uint32_t other_bytes,
                                       const int16_t *below, const int16_t *own, unsigned first, unsigned count,
                                       int32_t *sums)
{
    const uint32_t features_bytes = es_mve_features_bytes(layer);
    const uint32_t unit_bytes =
        features_bytes + ES_MVE_GROUP_BYTES * ((uint32_t)layer->below_quads + layer->own_quads) + other_bytes;
    const es_block_t *const block = layer->blocks + first;
    es_mve_blocks_t blocks = {(uint32_t)weights + first * unit_bytes, unit_bytes, sums, 8u, count};
    unsigned pair = 0;
    unsigned own_quad = 0;
    unsigned unit;

    if (layer->wide_pairs > 0u && layer->own_quads >= 2u * ES_MVE_LANES) {
        pair = layer->wide_pairs < ES_MVE_LANES ? layer->wide_pairs : ES_MVE_LANES;
        own_quad = 2u * ES_MVE_LANES;
        es_mve_begin_eight(&blocks, block, below, pair, own, features_bytes);
    } else {
#pragma GCC unroll 1
        for (unit = 0; unit < count; unit++) {
            vstrwq_s32(sums + ES_BLOCK_ROWS * unit, vldrwq_s32(block[unit].bias));
        }
    }
    if (pair < layer->wide_pairs || own_quad < layer->own_quads) {
        es_mve_add_rest(&blocks, layer, below, own, pair, own_quad);
    }
    for (unit = count; unit % ES_MVE_LANES != 0u; unit++) {
        vstrwq_s32(sums + ES_BLOCK_ROWS * unit, vdupq_n_s32(0));
    }
}

ES_MVE_INLINE void es_mve_sums(const es_layer_t *layer, const int16_t *below, const int16_t *own, unsigned first,
                               unsigned count, int32_t *sums)
{
    es_mve_sums_between(layer, layer->weights, 0u, below, own, first, count, sums);
}

/* --------------------------------------------------------------------------------------------- gates and operands */

/* The loops over groups of four units are assembly too. q0 - q3: the four rows of a block, a lane is a unit, as VLD4
 * loads the sums; %q[x], %q[y]: free; %q[at]: addresses of the units' blocks, less the size of four blocks. */
#define ES_MVE_UPDATE_CLOBBERS "q0", "q1", "q2", "q3", "lr", "cc", "memory"

#define ES_MVE_LOAD_ROWS                                                                         \
    "vld40.32 {q0, q1, q2, q3}, [%[sums]]\n\tvld41.32 {q0, q1, q2, q3}, [%[sums]]\n\t"           \
    "vld42.32 {q0, q1, q2, q3}, [%[sums]]\n\tvld43.32 {q0, q1, q2, q3}, [%[sums]]!\n\t"

/* From sums to results: floor(sum m / 2^16). The multipliers are halves of words. If a sum is 0, so is its result. */
#define ES_MVE_RESULTS                                                                           \
    "vldrw.u32 %q[x], [%q[at], #96]!\n\t"                                                        \
    "vshllb.s16 %q[y], %q[x], #16\n\tvmulh.s32 q0, q0, %q[y]\n\t"                                \
    "vshllt.s16 %q[y], %q[x], #16\n\tvmulh.s32 q1, q1, %q[y]\n\t"                                \
    "vldrw.u32 %q[x], [%q[at], #4]\n\t"                                                          \
    "vshllb.s16 %q[y], %q[x], #16\n\tvmulh.s32 q2, q2, %q[y]\n\t"                                \
    "vshllt.s16 %q[y], %q[x], #16\n\tvmulh.s32 q3, q3, %q[y]\n\t"

typedef char es_mve_group_of_blocks_is_as_assumed[ES_MVE_LANES * sizeof(es_block_t) == 96 ? 1 : -1];

/* tanh of four arguments, Q15, in the upper halves; the lower halves are undefined. See ES_DSP_TANH. A saturating left
 * shift limits the index. */
#define ES_MVE_TANH(value)                                                                       \
    "vqshlu.s32 %q[x], " value ", #12\n\tvshr.u32 %q[x], %q[x], #24\n\t" ES_MVE_TANH_AT("table", value)

/* The same of an argument less 2^19: its index is signed and counts from the middle of the table. */
#define ES_MVE_TANH_SIGNED(value)                                                                \
    "vqshl.s32 %q[x], " value ", #12\n\tvshr.s32 %q[x], %q[x], #24\n\t" ES_MVE_TANH_AT("middle", value)
#define ES_MVE_TANH_AT(table, value)                                                             \
    "vldrw.u32 %q[y], [%[" table "], %q[x], uxtw #2]\n\t"                                        \
    "vmullb.s16 " value ", %q[y], " value "\n\tvadd.i32 " value ", " value ", %q[y]\n\t"

/* Operands of four hidden values in Q15, which are stored. */
#define ES_MVE_STORE_OPERANDS(value)                                                             \
    "vldrw.u32 %q[x], [%[shifts]]\n\tvrshl.s32 " value ", " value ", %q[x]\n\t"                  \
    "vstrh.32 " value ", [%[operands]], #8\n\t"

static const int32_t es_mve_operand_shifts[ES_QUAD] = {0, 0, -8, -8};

/* Addresses of the multipliers of up to four blocks, less the size of four; lanes beyond have that of the last. */
ES_MVE_INLINE uint32x4_t es_mve_multipliers(const es_block_t *block, unsigned units)
{
    const uint32x4_t lanes = vminq_u32(vidupq_n_u32(0, 1), vdupq_n_u32(units - 1u));
    return vaddq_n_u32(vmulq_n_u32(lanes, (uint32_t)sizeof(es_block_t)), (uint32_t)(block->multiplier) - 96u);
}

/* True if all sums of a layer of `blocks` blocks are known before the first gate: new operands can then take the place
 * of the old ones at once. Else they wait in scratch. */
ES_MVE_INLINE int es_mve_at_once(unsigned blocks)
{
    return blocks <= ES_MVE_BATCH;
}

/* Takes over the new operands, [4 * own_quads], from where they were written; padding becomes zero. */
ES_MVE_INLINE void es_mve_replace(const es_layer_t *layer, const int16_t *written, int16_t *operands)
{
    const unsigned words = ES_QUAD * layer->own_quads;
    unsigned unit;

    if (written != operands) {
#pragma GCC unroll 1
        for (unit = 0; unit < words; unit += ES_QUAD) {
            vstrhq_s32(operands + unit, vldrhq_s32(written + unit));
        }
    }
    for (unit = layer->hidden_size; unit < words; unit++) {
        operands[unit] = 0;
    }
}

#endif
#endif
