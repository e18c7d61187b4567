#include "es_kernel.h"
#include "edge_seq.h"
#include "es_cells.h"
#include "es_operands.h"
#include "es_rows.h"
#include "es_tanh.h"
#include "es_trace.h"

#if ES_PLAIN_CELLS

enum lstm_gate { INPUT_GATE, FORGET_GATE, CELL_GATE, OUTPUT_GATE };

/* c' = f c + i g. The products, Q(15 + frac_bits) and Q30, are brought to the same Q format; the sum is below 2^31 for
 * any operands. */
static inline int16_t cell_update(int16_t forget, int16_t cell, int16_t input, int16_t candidate, unsigned frac_bits)
{
    const int32_t kept = (int32_t)forget * cell;
    const int32_t added = es_shift_right((int32_t)input * candidate, 15u - frac_bits);
    return es_saturate16(es_round_shift(kept + added, 15));
}

/* i f o = sigmoid(..), g = tanh(..), c' = f c + i g, h' = o tanh(c'). A block is one unit.
 * state: operands [4 * own_quads], cell state [4 * own_quads] */
void es_lstm_units(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch, unsigned first)
{
    const size_t unit_words = 8u * ((size_t)layer->wide_pairs + layer->below_quads + layer->own_quads);
    const ES_ROM int16_t *weights = layer->weights + first * unit_words;
    const unsigned frac_bits = layer->cell_frac_bits;
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = first; unit < layer->hidden_size; unit++) {
        int32_t arguments[ES_BLOCK_ROWS];
        int32_t squashed;
        int32_t product;
        unsigned gate;

        weights = es_rows4_block(layer, layer->blocks + unit, weights, below, state, arguments);
        for (gate = 0; gate < ES_BLOCK_ROWS; gate++) {
            arguments[gate] = es_argument(arguments[gate]);
            ES_TRACE_GATE(layer, gate, unit, arguments[gate]);
        }
        cell[unit] = cell_update(es_sigmoid(arguments[FORGET_GATE]), cell[unit], es_sigmoid(arguments[INPUT_GATE]),
                                 es_tanh(arguments[CELL_GATE]), frac_bits);
        squashed = cell[unit] * es_power2(ES_ARGUMENT_FRAC_BITS - frac_bits) + ES_ARGUMENT_ZERO;
        product = (int32_t)es_sigmoid(arguments[OUTPUT_GATE]) * es_tanh(es_argument(squashed)); /* Q30 */
        scratch[unit] = (int16_t)(es_is_coarse(unit) ? es_round_shift(product, 23) : es_shift_right(product, 15));
    }
}

#if !ES_UNITS_AT_ONCE /* else es_lstm_avx2.c or es_lstm_neon.c defines it */
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_lstm_units(layer, below, state, scratch, 0);
    es_operands_replace(state, scratch, layer->hidden_size);
}
#endif
#endif
