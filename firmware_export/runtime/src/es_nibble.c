#include "es_nibble.h"

#include "es_kernel.h"
#include "es_rows.h"

/* A word as a signed weight, without an implementation-defined conversion. */
static inline int32_t whole_word(uint16_t word)
{
    const uint32_t raised = (uint32_t)word ^ 0x8000u; /* 0 .. 2^16 - 1 */
    return (int32_t)raised - 0x8000;
}

/* Its low byte as a signed weight. */
static inline int32_t fine_byte(uint16_t word)
{
    const uint32_t raised = ((uint32_t)word & 0xFFu) ^ 0x80u; /* 0 .. 255 */
    return (int32_t)raised - 0x80;
}

/* Adds the products of a row in a quad. */
static inline void add_quad(uint16_t first, uint16_t second, const int16_t *operands, int32_t *accumulator)
{
    int32_t sum = fine_byte(first) * operands[0] + whole_word(first) * operands[2] +
                  fine_byte(second) * operands[1] + whole_word(second) * operands[3];
    ES_KEEP_SCALAR(sum);
    *accumulator += sum;
}

/* Adds a row in one quad or in two. The words of the second are not made of one number of 32 bits, because avr-gcc 5.4
 * would read that number at once, and from RAM instead of the program memory. */
static void add_row(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads, int32_t *accumulator)
{
    const uint16_t first = (uint16_t)ES_ROM_INT16(weights);
    const uint16_t second = (uint16_t)ES_ROM_INT16(weights + 1);
    add_quad(first, second, operands, accumulator);
    if (quads == 2u) {
        const uint32_t next_first = ((uint32_t)first << 4) & 0xFFFFu;
        const uint32_t next_second = (((uint32_t)second << 4) & 0xFFFFu) | ((uint32_t)first / 0x1000u);
        add_quad((uint16_t)next_first, (uint16_t)next_second, operands + ES_QUAD, accumulator);
    }
}

/* Quads that come next: one of an odd number, else two. */
static inline uint16_t next_quads(uint16_t left)
{
    return left % 2u != 0u ? 1u : 2u;
}

const ES_ROM int16_t *es_nibble_rows4(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    uint16_t left = quads;
    while (left > 0u) {
        const uint16_t taken = next_quads(left);
        add_row(weights, operands, taken, &accumulators[0]);
        add_row(weights + 2, operands, taken, &accumulators[1]);
        add_row(weights + 4, operands, taken, &accumulators[2]);
        add_row(weights + 6, operands, taken, &accumulators[3]);
        weights += 8;
        operands += taken == 2u ? 2u * ES_QUAD : ES_QUAD;
        left = (uint16_t)((uint32_t)left - taken);
    }
    return weights;
}

const ES_ROM int16_t *es_nibble_rows3(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators)
{
    uint16_t left = quads;
    while (left > 0u) {
        const uint16_t taken = next_quads(left);
        add_row(weights, operands, taken, &accumulators[0]);
        add_row(weights + 2, operands, taken, &accumulators[1]);
        add_row(weights + 4, operands, taken, &accumulators[2]);
        weights += 6;
        operands += taken == 2u ? 2u * ES_QUAD : ES_QUAD;
        left = (uint16_t)((uint32_t)left - taken);
    }
    return weights;
}
