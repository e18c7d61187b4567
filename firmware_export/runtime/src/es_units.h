/* The units of each cell in plain C, with any dot products: those of weights with 8 bits or with 4. */
#ifndef ES_UNITS_H
#define ES_UNITS_H

#include "edge_seq.h"
#include "es_cells.h"
#include "es_operands.h"
#include "es_rows.h"
#include "es_tanh.h"
#include "es_trace.h"

/* Computes the results of the rows of a block, results [4], as es_rows4_block does. Returns the address after the
 * weights of the block. */
typedef const ES_ROM int16_t *(*es_block_rows_t)(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                                 const ES_ROM int16_t *weights, const int16_t *below,
                                                 const int16_t *own, int32_t *results);

/* Adds the products of three rows of narrow weights, as es_rows3_narrow does. */
typedef const ES_ROM int16_t *(*es_rows3_narrow_t)(const ES_ROM int16_t *weights, const int16_t *operands,
                                                   uint16_t quads, int32_t *accumulators);

/* h' = tanh(W_x x + W_h h + b). A block is four units. state: operands [4 * own_quads] */
static inline void es_rnn_run(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch,
                              es_block_rows_t rows)
{
    const ES_ROM int16_t *weights = layer->weights;
    const ES_ROM es_block_t *block = layer->blocks;
    unsigned unit = 0;

    while (unit < layer->hidden_size) {
        int32_t results[ES_BLOCK_ROWS];
        unsigned row;
        weights = rows(layer, block, weights, below, state, results);
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

enum es_lstm_gate { ES_INPUT_GATE, ES_FORGET_GATE, ES_CELL_GATE, ES_OUTPUT_GATE };

/* c' = f c + i g. The products, Q(15 + frac_bits) and Q30, are brought to the same Q format; the sum is below 2^31 for
 * any operands. */
static inline int16_t es_cell_update(int16_t forget, int16_t cell, int16_t input, int16_t candidate, unsigned frac_bits)
{
    const int32_t kept = (int32_t)forget * cell;
    const int32_t added = es_shift_right((int32_t)input * candidate, 15u - frac_bits);
    return es_saturate16(es_round_shift(kept + added, 15));
}

/* i f o = sigmoid(..), g = tanh(..), c' = f c + i g, h' = o tanh(c'), of the units from `first` on, whose weights these
 * are. A block is one unit. state: operands [4 * own_quads], cell state [4 * own_quads]. It does not yet replace the
 * operands. */
static inline void es_lstm_run(const es_layer_t *layer, const ES_ROM int16_t *weights, const int16_t *below,
                               int16_t *state, int16_t *scratch, unsigned first, es_block_rows_t rows)
{
    const unsigned frac_bits = layer->cell_frac_bits;
    int16_t *const cell = state + ES_QUAD * layer->own_quads;
    unsigned unit;

    for (unit = first; unit < layer->hidden_size; unit++) {
        int32_t arguments[ES_BLOCK_ROWS];
        int32_t squashed;
        int32_t product;
        unsigned gate;

        weights = rows(layer, layer->blocks + unit, weights, below, state, arguments);
        for (gate = 0; gate < ES_BLOCK_ROWS; gate++) {
            arguments[gate] = es_argument(arguments[gate]);
            ES_TRACE_GATE(layer, gate, unit, arguments[gate]);
        }
        cell[unit] = es_cell_update(es_sigmoid(arguments[ES_FORGET_GATE]), cell[unit],
                                    es_sigmoid(arguments[ES_INPUT_GATE]), es_tanh(arguments[ES_CELL_GATE]), frac_bits);
        squashed = cell[unit] * es_power2(ES_ARGUMENT_FRAC_BITS - frac_bits) + ES_ARGUMENT_ZERO;
        product = (int32_t)es_sigmoid(arguments[ES_OUTPUT_GATE]) * es_tanh(es_argument(squashed)); /* Q30 */
        scratch[unit] = (int16_t)(es_is_coarse(unit) ? es_round_shift(product, 23) : es_shift_right(product, 15));
    }
}

enum es_gru_gate { ES_RESET_GATE, ES_UPDATE_GATE, ES_NEW_GATE_INPUT, ES_NEW_GATE_HIDDEN };

/* Computes the results of the four rows of a unit. Three rows see the input (reset, update, new gate's input part),
 * three see the state (reset, update, new gate's hidden part). */
static inline const ES_ROM int16_t *es_gru_rows(const es_layer_t *layer, const ES_ROM es_block_t *block,
                                                const ES_ROM int16_t *weights, const int16_t *below,
                                                const int16_t *own, int32_t *results, es_rows3_narrow_t narrow)
{
    int32_t sums[3];
    unsigned row;

    sums[0] = ES_ROM_INT32(&block->bias[ES_RESET_GATE]);
    sums[1] = ES_ROM_INT32(&block->bias[ES_UPDATE_GATE]);
    sums[2] = ES_ROM_INT32(&block->bias[ES_NEW_GATE_INPUT]);
    weights = es_rows3_wide(weights, below, layer->wide_pairs, sums);
    if (layer->wide_alone != 0u) {
        const int32_t last = below[2u * layer->wide_pairs];
        for (row = 0; row < 3u; row++) {
            sums[row] += ES_ROM_INT16(weights + row) * last;
        }
        weights += ES_GRU_ALONE_WORDS;
    }
    weights = narrow(weights, below, layer->below_quads, sums);
    results[ES_NEW_GATE_INPUT] = sums[2];
    sums[2] = ES_ROM_INT32(&block->bias[ES_NEW_GATE_HIDDEN]);
    weights = narrow(weights, own, layer->own_quads, sums);
    results[ES_RESET_GATE] = sums[0];
    results[ES_UPDATE_GATE] = sums[1];
    results[ES_NEW_GATE_HIDDEN] = sums[2];
    for (row = 0; row < ES_BLOCK_ROWS; row++) {
        results[row] = es_mulw(results[row], ES_ROM_INT16(&block->multiplier[row]));
    }
    return weights;
}

/* r = sigmoid(..), z = sigmoid(..), n = tanh(n_x + r n_h), h' = (1 - z) n + z h, of the units from `first` on, whose
 * weights these are. A block is one unit. state: operands [4 * own_quads], hidden state Q15 [4 * own_quads]. It does not
 * yet replace the operands. */
static inline void es_gru_run(const es_layer_t *layer, const ES_ROM int16_t *weights, const int16_t *below,
                              int16_t *state, int16_t *scratch, unsigned first, es_rows3_narrow_t narrow)
{
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

        weights = es_gru_rows(layer, layer->blocks + unit, weights, below, state, results, narrow);
        reset_argument = es_argument(results[ES_RESET_GATE]);
        update_argument = es_argument(results[ES_UPDATE_GATE]);
        new_hidden = results[ES_NEW_GATE_HIDDEN];
        /* r = (1 + tanh) / 2, so r n_h is half of n_h plus half of n_h times tanh; mulw by a Q15 value also halves */
        new_argument = es_argument(results[ES_NEW_GATE_INPUT] + es_shift_right(new_hidden, 1) +
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

/* p = W x + U h + b, z = sigmoid(p + d), h' = (zeta (1 - z) + nu) tanh(p) + z h. A block is four units.
 * state: operands [4 * own_quads], hidden state [4 * own_quads] */
static inline void es_fastgrnn_run(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch,
                                   es_block_rows_t rows)
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
        weights = rows(layer, block, weights, below, state, results);
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
