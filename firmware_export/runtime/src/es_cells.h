/* Shared by the kernels of a cell. Kernels that process several units at once use the plain C for the remaining
 * units. */
#ifndef ES_CELLS_H
#define ES_CELLS_H

#include "edge_seq.h"
#include "es_fixed.h"

/* Words of weights of a GRU's column that stands alone: three weights and a zero. */
#define ES_GRU_ALONE_WORDS 4u

/* Words of weights of one unit of a GRU. */
static inline uint32_t es_gru_unit_words(const es_layer_t *layer)
{
    return 6u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads) +
           ES_GRU_ALONE_WORDS * layer->wide_alone;
}

/* Words of a FastGRNN's numbers of 32 bits among its weights: zeta and nu before the first block, the update offsets of
 * four units at the end of each. */
#define ES_FASTGRNN_HEAD_WORDS 4u
#define ES_FASTGRNN_OFFSET_WORDS 8u

/* A number of 32 bits that lies among the weights, low half first. */
static inline int32_t es_two_words(const ES_ROM int16_t *words)
{
    const uint16_t low = (uint16_t)ES_ROM_INT16(words);
    return ES_ROM_INT16(words + 1) * es_power2(16) + (int32_t)low;
}

static inline int32_t es_fastgrnn_zeta(const es_layer_t *layer) /* Q15, 0 .. 2^15 - 1 */
{
    return es_two_words(layer->weights);
}

static inline int32_t es_fastgrnn_nu(const es_layer_t *layer) /* Q30, 0 .. 2^30 */
{
    return es_two_words(layer->weights + 2);
}

/* One step of the units from `first` on, with the parameters of es_layer_step_t. It does not yet replace the
 * operands in `state`. */
void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);
void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);

#endif
