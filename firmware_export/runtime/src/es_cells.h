/* What the files of a cell share, and the plain C of the cells as kernels for several units at once use it: for the
 * units that are left over. */
#ifndef ES_CELLS_H
#define ES_CELLS_H

#include "edge_seq.h"

/* Weights of a GRU's column that stands alone: three and a zero. */
#define ES_GRU_ALONE_WORDS 4u

/* Weights of one unit of a GRU. */
static inline uint32_t es_gru_unit_words(const es_layer_t *layer)
{
    return 6u * ((uint32_t)layer->wide_pairs + layer->below_quads + layer->own_quads) +
           ES_GRU_ALONE_WORDS * layer->wide_alone;
}

/* A step of the units from `first` on, with the parameters of a step; the operands in `state` are not yet replaced. */
void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);
void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);

#endif
