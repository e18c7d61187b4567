#include "es_kernel.h"
#include "edge_seq.h"
#include "es_cells.h"
#include "es_operands.h"
#include "es_rows.h"
#include "es_tanh.h"
#include "es_trace.h"

#if ES_PLAIN_CELLS && ES_KERNEL != ES_KERNEL_NEON /* then es_fastgrnn_neon.c defines the step */

/* p = W x + U h + b, z = sigmoid(p + d), h' = (zeta (1 - z) + nu) tanh(p) + z h. A block is four units.
 * state: operands [4 * own_quads], hidden state [4 * own_quads] */
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    const ES_ROM int16_t *weights = layer->weights + ES_FASTGRNN_HEAD_WORDS;
    const int32_t zeta = es_fastgrnn_zeta(layer);
    const int32_t nu = es_fastgrnn_nu(layer);
    const ES_ROM es_block_t *block = layer->blocks;
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned unit = 0;

    while (unit < layer->hidden_size) {
        int32_t results[ES_BLOCK_ROWS];
        unsigned row;
        weights = es_rows4_block(layer, block, weights, below, state, results);
        block++;
        for (row = 0; row < ES_BLOCK_ROWS; row++) {
            if (unit < layer->hidden_size) {
                const int32_t update_argument = es_argument(es_shift_right(results[row], 1) + es_two_words(weights));
                const int32_t new_argument = es_argument(results[row]);
                const int16_t keep = es_sigmoid(update_argument);
                /* zeta (1 - z) + nu, Q30, below 2^31 */
                const int32_t take = zeta * (es_power2(15) - keep) + nu;
                /* both parts Q29 */
                const int32_t kept = es_shift_right((int32_t)keep * hidden[unit], 1);
                const int32_t added = es_mulw(take, es_tanh(new_argument));
                ES_TRACE_GATE(layer, 0, unit, update_argument);
                ES_TRACE_GATE(layer, 1, unit, new_argument);
                hidden[unit] = es_saturate16(es_round_shift(kept + added, 14));
                scratch[unit] = es_operand(hidden[unit], unit);
                unit++;
            }
            weights += ES_FASTGRNN_OFFSET_WORDS / ES_BLOCK_ROWS;
        }
    }
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
