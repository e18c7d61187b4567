/* The plain C of the cells as kernels for several units at once use it: for the units that are left over. */
#ifndef ES_CELLS_H
#define ES_CELLS_H

#include "edge_seq.h"

/* A step of the units from `first` on, with the parameters of a step; the operands in `state` are not yet replaced. */
void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);
void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first);

#endif
