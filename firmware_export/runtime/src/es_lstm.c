#include "es_kernel.h"
#include "edge_seq.h"
#include "es_cells.h"
#include "es_rows.h"
#include "es_units.h"

#if ES_PLAIN_CELLS

void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first)
{
    const size_t unit_words = 8u * ((size_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    es_lstm_run(layer, layer->weights + first * unit_words, below, state, scratch, first, es_rows4_block);
}

#if !ES_UNITS_AT_ONCE /* else es_lstm_avx2.c or es_lstm_neon.c defines it */
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_lstm_units(layer, below, state, scratch, 0);
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
#endif
