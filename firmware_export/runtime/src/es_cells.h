/* Shared by the kernels of a cell. Kernels that process several units at once use the plain C for the remaining
 * units. */
#ifndef ES_CELLS_H
#define ES_CELLS_H

#include "edge_seq.h"

/* Words of weights of a GRU's column that stands alone: three weights and a zero. */
#define ES_GRU_ALONE_WORDS 4u

/* Words of weights of one unit of a GRU. */
static inline uint32_t es_gru_unit_words(const es_layer_t *layer)
{
    return 6u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads) +
           ES_GRU_ALONE_WORDS * layer->wide_alone;
}

/* One step of the units from `first` on, with the parameters of es_layer_step_t. It does not yet replace the
 * operands in `state`. */
void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);
void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);

#endif
