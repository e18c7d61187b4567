#include "edge_seq.h"
#include "es_rows.h"
#include "es_units.h"

/* Plain C for every part: no kernel has a FastGRNN of its own yet. */
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_fastgrnn_run(layer, below, state, scratch, es_rows4_block);
}
