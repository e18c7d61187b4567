#include "es_kernel.h"
#include "edge_seq.h"
#include "es_operands.h"
#include "es_rows.h"
#include "es_tanh.h"
#include "es_trace.h"

#if ES_PLAIN_CELLS && ES_KERNEL != ES_KERNEL_NEON /* then es_rnn_neon.c defines the step */

/* h' = tanh(W_x x + W_h h + b). A block is four units. state: operands [4 * own_quads] */
void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const ES_ROM int16_t *weights = layer->weights;
    const ES_ROM es_block_t *block = layer->blocks;
    unsigned unit = 0;

    while (unit < layer->hidden_size) {
        int32_t results[ES_BLOCK_ROWS];
        unsigned row;
        weights = es_rows4_block(layer, block, weights, below, state, results);
        block++;
        for (row = 0; row < ES_BLOCK_ROWS && unit < layer->hidden_size; row++) {
            const int32_t argument = es_argument(results[row]);
            ES_TRACE_GATE(layer, 0, unit, argument);
            scratch[unit] = es_operand(es_tanh(argument), unit);
            unit++;
        }
    }
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
