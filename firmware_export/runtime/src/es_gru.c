#include "es_kernel.h"
#include "edge_seq.h"
#include "es_cells.h"
#include "es_rows.h"
#include "es_units.h"

#if ES_PLAIN_CELLS

void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first)
{
    const size_t unit_words = (size_t)es_gru_unit_words(layer);
    es_gru_run(layer, layer->weights + first * unit_words, below, state, scratch, first, es_rows3_narrow);
}

#if !ES_UNITS_AT_ONCE /* else es_gru_avx2.c or es_gru_neon.c defines it */
void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_gru_units(layer, below, state, scratch, 0);
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
#endif
