#include "es_nibble.h"

#include "es_kernel.h"
#include "es_rows.h"

/* A word as a signed weight, without an implementation-defined conversion. */
static inline int32_t whole_weight(uint16_t word)
{
    const uint32_t raised = (uint32_t)word ^ 0x8000u; /* 0 .. 2^16 - 1 */
    return (int32_t)raised - 0x8000;
}

/* Its low byte as a signed weight. */
static inline int32_t fine_weight(uint16_t word)
{
    const uint32_t raised = ((uint32_t)word & 0xFFu) ^ 0x80u; /* 0 .. 255 */
    return (int32_t)raised - 0x80;
}

/* Adds the products of a row in a quad. */
static inline void add_quad(uint16_t first, uint16_t second, const int16_t *operands, int32_t *accumulator)
{
    int32_t sum = fine_weight(first) * operands[0] + whole_weight(first) * operands[2] +
                  fine_weight(second) * operands[1] + whole_weight(second) * operands[3];
    ES_KEEP_SCALAR(sum);
    *accumulator += sum;
}

static inline const ES_ROM int16_t *add_rows(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                             unsigned rows, int32_t *accumulators)
{
    uint16_t left = quads;
    while (left > 0u) {
        const uint16_t taken = left % 2u != 0u ? 1u : 2u;
        unsigned row;
        for (row = 0; row < rows; row++) {
            const uint16_t first = (uint16_t)ES_ROM_INT16(weights);
            const uint16_t second = (uint16_t)ES_ROM_INT16(weights + 1);
            add_quad(first, second, operands, &accumulators[row]);
            if (taken == 2u) {
                const uint32_t next = (((uint32_t)second << 16) | first) << 4;
                add_quad((uint16_t)(next & 0xFFFFu), (uint16_t)(next >> 16), operands + ES_QUAD, &accumulators[row]);
            }
            weights += 2;
        }
        operands += (unsigned)taken * ES_QUAD;
        left = (uint16_t)(left - taken);
    }
    return weights;
}

const ES_ROM int16_t *es_nibble_rows4(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    return add_rows(weights, operands, quads, 4, accumulators);
}

const ES_ROM int16_t *es_nibble_rows3(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    return add_rows(weights, operands, quads, 3, accumulators);
}
