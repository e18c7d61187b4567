#include "es_kernel.h"
#include "edge_seq.h"
#include "es_cells.h"
#include "es_operands.h"
#include "es_rows.h"
#include "es_tanh.h"
#include "es_trace.h"

#if ES_PLAIN_CELLS

enum gru_gate { RESET_GATE, UPDATE_GATE, NEW_GATE_INPUT, NEW_GATE_HIDDEN };

/* Computes the results of the four rows of a unit. Three rows see the input (reset, update, new gate's input part),
 * three see the state (reset, update, new gate's hidden part). */
static const ES_ROM int16_t *unit_rows(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                       const ES_ROM int16_t *weights, const int16_t *below, const int16_t *own,
                                       int32_t *results)
{
    int32_t sums[3];
    unsigned row;

    sums[0] = ES_ROM_INT32(&block->bias[RESET_GATE]);
    sums[1] = ES_ROM_INT32(&block->bias[UPDATE_GATE]);
    sums[2] = ES_ROM_INT32(&block->bias[NEW_GATE_INPUT]);
    weights = es_rows3_wide(weights, below, layer->wide_pairs, sums);
    if (layer->wide_alone != 0u) {
        const int32_t last = below[2u * layer->wide_pairs];
        for (row = 0; row < 3u; row++) {
            sums[row] += ES_ROM_INT16(weights + row) * last;
        }
        weights += ES_GRU_ALONE_WORDS;
    }
    weights = es_rows3_narrow(weights, below, layer->below_quads, sums);
    results[NEW_GATE_INPUT] = sums[2];
    sums[2] = ES_ROM_INT32(&block->bias[NEW_GATE_HIDDEN]);
    weights = es_rows3_narrow(weights, own, layer->own_quads, sums);
    results[RESET_GATE] = sums[0];
    results[UPDATE_GATE] = sums[1];
    results[NEW_GATE_HIDDEN] = sums[2];
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = es_mulw(results[row], ES_ROM_INT16(&block->multiplier[row]));
    }
    return weights;
}

/* r = sigmoid(..), z = sigmoid(..), n = tanh(n_x + r n_h), h' = (1 - z) n + z h. A block is one unit.
 * state: operands [4 * own_quads], hidden state Q15 [4 * own_quads] */
void es_gru_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first)
{
    const size_t unit_words = (size_t)es_gru_unit_words(layer);
    const ES_ROM int16_t *weights = layer->weights + first * unit_words;
    int16_t *const hidden = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = first; unit < layer->hidden_size; unit++) {
        int32_t results[ES_BLOCK_ROWS];
        int32_t reset_argument;
        int32_t update_argument;
        int32_t new_hidden;
        int32_t new_argument;
        int16_t keep;
        int16_t take;

        weights = unit_rows(layer, layer->blocks + unit, weights, below, state, results);
        reset_argument = es_argument(results[RESET_GATE]);
        update_argument = es_argument(results[UPDATE_GATE]);
        new_hidden = results[NEW_GATE_HIDDEN];
        /* r = (1 + tanh) / 2, so r n_h is half of n_h plus half of n_h times tanh; mulw by a Q15 value also halves */
        new_argument = es_argument(results[NEW_GATE_INPUT] + es_shift_right(new_hidden, 1) +
                                   es_mulw(new_hidden, es_tanh(reset_argument)));
        ES_TRACE_GATE(layer, 0, unit, reset_argument);
        ES_TRACE_GATE(layer, 1, unit, update_argument);
        ES_TRACE_GATE(layer, 2, unit, new_hidden);
        ES_TRACE_GATE(layer, 3, unit, new_argument);

        keep = es_sigmoid(update_argument);
        take = (int16_t)(32767 - keep);
        /* |keep h + take n| <= 32767 * 2^15 */
        hidden[unit] = (int16_t)es_round_shift((int32_t)keep * hidden[unit] + (int32_t)take * es_tanh(new_argument), 15);
        scratch[unit] = es_operand(hidden[unit], unit);
    }
}

#if !ES_UNITS_AT_ONCE /* else es_gru_avx2.c or es_gru_neon.c defines it */
void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_gru_units(layer, below, state, scratch, 0);
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
#endif
