/* The steps of layers with weights of 4 bits: plain C around the dot products of es_nibble.h. */
#include "edge_seq.h"
#include "es_kernel.h"
#include "es_nibble.h"
#include "es_rows.h"
#include "es_units.h"

/* As es_rows4_block. */
static const ES_ROM int16_t *block_rows(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                        const ES_ROM int16_t *weights, const int16_t *below, const int16_t *own,
                                        int32_t *results)
{
    es_rows4_begin(block, results);
    weights = es_rows4_wide(weights, below, layer->wide_pairs, results);
    weights = es_nibble_rows4(weights, below, layer->below_quads, results);
    weights = es_nibble_rows4(weights, own, layer->own_quads, results);
    es_rows4_end(block, results);
    return weights;
}

#if !ES_OWN_NIBBLES /* else files of the kernel define these, as es_lstm_dsp.c does */
void es_rnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_rnn_run(layer, below, state, scratch, block_rows);
}

void es_gru_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_gru_run(layer, layer->weights, below, state, scratch, 0, es_nibble_rows3);
    es_operands_replace(state, scratch, layer->hidden_size);
}

void es_lstm_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_lstm_run(layer, layer->weights, below, state, scratch, 0, block_rows);
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif

void es_fastgrnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_fastgrnn_run(layer, below, state, scratch, block_rows);
}
