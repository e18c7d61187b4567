/* The results of blocks of es_rows.h for parts with Helium (Cortex-M55, M85): those of convolutions and dense layers. They
 * compute the same integers. As in es_mve.h, a lane is a group, and operands stay in registers while a pass goes over the
 * blocks. */
#include "es_kernel.h"
#include "es_rows.h"

#if ES_KERNEL == ES_KERNEL_MVE
#define ES_MVE_ROWS 4u
#define ES_MVE_BLOCK_UNITS 4
#include "es_mve.h"

/* Sets the sums of blocks to the biases. */
ES_MVE_INLINE void begin(const es_block_t *block, unsigned blocks, int32_t *sums)
{
    int32x4_t a;
    __asm__ volatile(
        ES_MVE_LOOP("vldrw.u32 %q[a], [%[block]], #24\n\tvstrw.32 %q[a], [%[sums]], #16\n\t")
        : [block] "+r"(block), [sums] "+r"(sums), [a] "=&w"(a)
        : [count] "r"(blocks)
        : "lr", "cc", "memory");
}

/* From sums to results: floor(sum m / 2^16), the upper half of the product with 2^16 m. */
ES_MVE_INLINE void end(const es_block_t *block, unsigned blocks, int32_t *sums)
{
    const int16_t *multipliers = block->multiplier;
    int32x4_t a;
    int32x4_t b;
    __asm__ volatile(
        ES_MVE_LOOP("vldrh.s32 %q[a], [%[multipliers]], #24\n\tvshl.i32 %q[a], %q[a], #16\n\t"
                    "vldrw.u32 %q[b], [%[sums]]\n\tvmulh.s32 %q[a], %q[a], %q[b]\n\tvstrw.32 %q[a], [%[sums]], #16\n\t")
        : [multipliers] "+l"(multipliers), [sums] "+r"(sums), [a] "=&w"(a), [b] "=&w"(b)
        : [count] "r"(blocks)
        : "lr", "cc", "memory");
}

typedef char es_mve_block_has_24_bytes[sizeof(es_block_t) == 24 ? 1 : -1];

/* A pass with what `code` adds; further arguments: its operands or features. */
#define PASS(code, ...)                                                                   \
    __asm__ volatile(                                                                            \
        ES_MVE_LOOP(ES_MVE_LOAD_SUMS code "vadd.i32 %q[at], %q[at], %[bytes]\n\t" ES_MVE_STORE_SUMS) \
        : [at] "+w"(at), [sums] "+r"(sums), [a] "=&w"(a), [b] "=&w"(b)                           \
        : __VA_ARGS__, [bytes] "r"(bytes), [count] "r"(blocks)                                   \
        : ES_MVE_CLOBBERS)

/* ---------------------------------------------------------------------------------------------- narrow columns */

const int16_t *es_rows4_narrow_results(const es_block_t *block, const int16_t *weights, const es_seen_t *seen,
                                       unsigned blocks, int32_t *results)
{
    const unsigned quads = (unsigned)seen->first_groups + seen->second_groups;
    const uint32_t bytes = ES_MVE_GROUP_BYTES * quads; /* from a block to the next */
    const int16_t *operands = seen->first;
    uint32_t from = (uint32_t)weights;
    unsigned left = seen->first_groups;
    unsigned piece;

    begin(block, blocks, results);
    for (piece = 0; piece < 2u; piece++) {
        while (left > 0u) {
            uint32x4_t at = es_mve_addresses_of_four(from);
            int32_t *sums = results;
            int16x8_t a;
            int16x8_t b;
            unsigned done = ES_MVE_LANES;
            if (left >= 2u * ES_MVE_LANES) {
                const es_mve_operands_t z0 = es_mve_operands_of_four(operands);
                const es_mve_operands_t z1 = es_mve_operands_of_four(operands + ES_MVE_LANES * ES_QUAD);
                PASS(ES_MVE_NARROW("r8", "%q[fine0]", "%q[coarse0]")
                            ES_MVE_NARROW_NEXT("r8", "%q[fine1]", "%q[coarse1]"),
                            [fine0] "w"(z0.fine), [coarse0] "w"(z0.coarse), [fine1] "w"(z1.fine), [coarse1] "w"(z1.coarse));
                done = 2u * ES_MVE_LANES;
            } else if (left >= ES_MVE_LANES) {
                const es_mve_operands_t z = es_mve_operands_of_four(operands);
                PASS(ES_MVE_NARROW("r8", "%q[fine]", "%q[coarse]"), [fine] "w"(z.fine), [coarse] "w"(z.coarse));
            } else {
                const es_mve_operands_t z = es_mve_operands(operands, left);
                at = es_mve_addresses(from, left);
                PASS(ES_MVE_NARROW("r8", "%q[fine]", "%q[coarse]"), [fine] "w"(z.fine), [coarse] "w"(z.coarse));
                done = left;
            }
            from += done * ES_MVE_GROUP_BYTES;
            operands += done * ES_QUAD;
            left -= done;
        }
        operands = seen->second;
        left = seen->second_groups;
    }
    end(block, blocks, results);
    return weights + 2u * ES_BLOCK_ROWS * quads * blocks;
}

/* ------------------------------------------------------------------------------------------------ wide columns */

/* Words of four rows, `at` bytes behind the first, times features. */
#define WIDE(at, x)                                                                              \
    "vldrw.u32 %q[a], [%q[at], #" at "]\n\tvldrw.u32 %q[b], [%q[at], #" at " + 4]\n\t"           \
    "vmladava.s16 r4, %q[a], %q[" x "]\n\tvmladava.s16 r6, %q[b], %q[" x "]\n\t"                 \
    "vldrw.u32 %q[a], [%q[at], #" at " + 8]\n\tvldrw.u32 %q[b], [%q[at], #" at " + 12]\n\t"      \
    "vmladava.s16 r8, %q[a], %q[" x "]\n\tvmladava.s16 r10, %q[b], %q[" x "]\n\t"

/* Loads the features of four pairs from `pair` on, out of the two pieces; those beyond the last are zero. */
ES_MVE_INLINE int16x8_t features_of_four(const es_seen_t *seen, unsigned pairs, unsigned pair)
{
    const uint32x4_t lane = vidupq_n_u32(pair, 1);
    const uint32x4_t to_second = vdupq_n_u32((uint32_t)seen->second - (uint32_t)seen->first - 4u * seen->first_groups);
    const mve_pred16_t in_second = vcmpcsq_n_u32(lane, seen->first_groups);
    uint32x4_t at = vaddq_n_u32(vshlq_n_u32(lane, 2), (uint32_t)seen->first);
    at = vaddq_m_u32(at, at, to_second, in_second);
    return vreinterpretq_s16_s32(vldrwq_gather_base_z_s32(at, 0, vctp32q(pairs - pair)));
}

const int16_t *es_rows4_wide_results(const es_block_t *block, const int16_t *weights, const es_seen_t *seen,
                                     unsigned blocks, int32_t *results)
{
    const unsigned pairs = (unsigned)seen->first_groups + seen->second_groups;
    const uint32_t bytes = ES_MVE_GROUP_BYTES * pairs; /* from a block to the next */
    unsigned pair = 0;

    begin(block, blocks, results);
    while (pair < pairs) {
        const unsigned left = pairs - pair;
        const int16x8_t x0 = features_of_four(seen, pairs, pair);
        uint32x4_t at = es_mve_addresses((uint32_t)weights + ES_MVE_GROUP_BYTES * pair, left);
        int32_t *sums = results;
        int16x8_t a;
        int16x8_t b;
        if (left >= 4u * ES_MVE_LANES) {
            const int16x8_t x1 = features_of_four(seen, pairs, pair + ES_MVE_LANES);
            const int16x8_t x2 = features_of_four(seen, pairs, pair + 2u * ES_MVE_LANES);
            const int16x8_t x3 = features_of_four(seen, pairs, pair + 3u * ES_MVE_LANES);
            PASS(WIDE("0", "x0") WIDE("64", "x1") WIDE("128", "x2") WIDE("192", "x3"), [x0] "w"(x0), [x1] "w"(x1),
                      [x2] "w"(x2), [x3] "w"(x3));
            pair += 4u * ES_MVE_LANES;
        } else if (left >= 2u * ES_MVE_LANES) {
            const int16x8_t x1 = features_of_four(seen, pairs, pair + ES_MVE_LANES);
            PASS(WIDE("0", "x0") WIDE("64", "x1"), [x0] "w"(x0), [x1] "w"(x1));
            pair += 2u * ES_MVE_LANES;
        } else {
            PASS(WIDE("0", "x0"), [x0] "w"(x0));
            pair += ES_MVE_LANES;
        }
    }
    end(block, blocks, results);
    return weights + 2u * ES_BLOCK_ROWS * pairs * blocks;
}
#endif
