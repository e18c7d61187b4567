/* edge_seq: integer recurrent classifiers for firmware. The public interface; SPEC.md defines every number.
 *
 *     static car_memory_t memory;                       size and alignment come from the generated car.h
 *     es_context_t *context;
 *     if (es_init(&car_model, &memory, sizeof memory, &context) != ES_OK) { ... }
 *     for (;;) {
 *         read_sensor(counts);                          raw counts, int16 [C]
 *         if (es_step(context, counts) == ES_LABEL_READY) { use(es_label(context)); }
 *     }
 *
 * No heap, no globals, no floating point, no recursion. Contexts are independent of each other: any number of them, of
 * one model or of several, may run interleaved. A context must not be used by two threads at once. */
#ifndef EDGE_SEQ_H
#define EDGE_SEQ_H

#include <stddef.h>
#include <stdint.h>

#include "es_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_ABI 2u            /* layout of the generated data; es_init refuses data of another */
#define ES_BLOCK_ROWS 4u     /* rows computed together */
#define ES_QUAD 4u           /* operands come in groups of four: two fine, two coarse */
#define ES_HASH_BYTES 32u    /* SHA-256 of the model */
#define ES_NO_LABEL 0xFFFFu  /* es_label() and es_decision() before the first label is due */
#define ES_UNKNOWN 0xFFFEu   /* es_decision() where no class leads by enough, or the states are far from usual ones */

/* ---------------------------------------------------------------------------------------------------- status */

typedef enum es_status {
    ES_OK = 0,
    ES_LABEL_READY,      /* es_step only: a label is due; es_label() and es_logits() hold it */
    ES_ERROR_ARGUMENT,   /* a pointer that must not be NULL is */
    ES_ERROR_MODEL,      /* the generated data are of another version than the runtime */
    ES_ERROR_SIZE,       /* the memory or the buffer is too small */
    ES_ERROR_ALIGNMENT,  /* the memory does not begin at a multiple of ES_CONTEXT_ALIGNMENT */
    ES_ERROR_STATE,      /* a saved state is damaged or of another model; the context is unchanged */
    ES_ERROR_SELF_TEST   /* golden vectors are not met: weights or tables are damaged, or the compiler is wrong */
} es_status_t;

/* A sentence for a log. Its table is in a file of its own, so that it costs nothing where this is not called. */
const char *es_status_text(es_status_t status);

/* ---------------------------------------------------------------------------------------- generated data, all const */

typedef struct es_layer es_layer_t;
typedef struct es_model es_model_t;
typedef struct es_context es_context_t;

/* Constants of four rows: RNN, FastGRNN, head: four consecutive rows (those beyond the last are zero); LSTM: input, forget,
 * cell and output gate of one unit; GRU: reset gate, update gate, new gate's input part and hidden part of one unit. */
typedef struct es_block {
    int32_t bias[ES_BLOCK_ROWS];
    int16_t multiplier[ES_BLOCK_ROWS]; /* 1 .. 32767; 0 in rows beyond the last */
} es_block_t;

/* One time step of a layer.
 *   below    int16 [C, padded to even] features, or int16 [4 * below_quads] operands of the layer below
 *   state    int16 [state_words], in and out
 *   scratch  int16 [4 * own_quads], any contents; holds the new operands while the old ones are still read */
typedef void (*es_layer_step_t)(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

/* Weights are in the order in which they are used: block by block; in a block the wide ones by pairs of columns, then
 * the narrow ones of the layer below by quads, then those of the own state by quads; in a pair or quad row by row; for
 * each row two words. Of a pair: one word a column. A GRU's last column that stands alone: a word for each of the three
 * rows and a zero. Of a quad with the bytes b0 b1 (fine) b2 b3 (coarse):
 * 256 b2 + unsigned(b0), 256 b3 + unsigned(b1). A FastGRNN has numbers of 32 bits among them, as two words, low half
 * first: zeta and nu before the first block, the update gate's offsets of four units at the end of each block. */
struct es_layer {
    es_layer_step_t step;
    const ES_ROM es_block_t *blocks;  /* [ceil(H / 4)] for RNN and FastGRNN, [H] for GRU and LSTM */
    const ES_ROM int16_t *weights;
    uint16_t hidden_size;    /* H */
    uint16_t wide_pairs;     /* of columns: ceil(C / 2) in the first layer, less one if one stands alone; 0 above it */
    uint16_t below_quads;    /* ceil(H / 4) of the layer below; 0 in the first layer */
    uint16_t own_quads;      /* ceil(H / 4) */
    uint16_t state_words;    /* operands, and as much again for the hidden or cell state of all kinds but RNN */
    uint16_t cell_frac_bits; /* LSTM: fractional bits of the cell state, 8 .. 15 */
    uint16_t wide_alone;     /* GRU: 1 in the first layer if C is odd and not 1, else 0: the last column stands alone */
};

/* Features of one sample: int16 counts [C] to context->features. */
typedef void (*es_preprocess_t)(es_context_t *context, const int16_t *counts);

/* Takes one step's operands in; returns what the head sees, int16 [4 * head_quads], if a label is due. */
typedef const int16_t *(*es_pool_t)(es_context_t *context, const int16_t *operands, int label_due);

/* Takes the latest logits and label in; what it remembers is in the context. */
typedef void (*es_decision_step_t)(es_context_t *context);

/* By how much what the head saw at the latest label is beyond the label's radius, Q7. */
typedef int32_t (*es_distance_excess_t)(const es_context_t *context);

/* What is usual for each label, of what the head sees. */
typedef struct {
    es_distance_excess_t excess;
    const ES_ROM int8_t *centroids; /* [K, H of the last layer], Q7 */
    const ES_ROM int32_t *radii;    /* [K], 0 .. 2^18, Q7 */
} es_distance_t;

/* What makes decisions of labels, smoothed, with hysteresis, a minimum duration and "unknown" (SPEC.md, section 14). */
typedef struct {
    es_decision_step_t step;
    int32_t hysteresis;       /* 0 .. 2^19, Q16 */
    int32_t unknown_margin;   /* 0 .. 2^19, Q16 */
    uint16_t smoothing_shift; /* 0 .. 8 */
    uint16_t min_labels;      /* 1 .. 255 */
    const es_distance_t *distance; /* NULL: none; generated data without one do not name it */
} es_decision_t;

struct es_model {
    uint16_t abi;              /* ES_ABI */
    uint16_t num_channels;     /* C, 1 .. 64 */
    uint16_t num_classes;      /* K, 2 .. 256 */
    uint16_t num_layers;       /* 1 .. 8 */
    uint16_t window_length;    /* T, 1 .. 16383 */
    uint16_t label_every_step; /* 1: a label after each sample; 0: one at the end of each window */
    uint16_t carry;            /* 1: states live on after a window's end; 0: they are reset */
    uint16_t gravity_shift;    /* of es_preprocess_gravity */
    uint16_t memory_words;     /* int32 words that preprocessing remembers: C or 0 */
    uint16_t memory_bits;      /* each is in [-2^bits, 2^bits) */
    uint16_t feature_words;    /* C, padded to even */
    uint16_t state_words;      /* sum over the layers */
    uint16_t scratch_words;    /* operands of the widest layer */
    uint16_t pool_words;       /* operands of the last layer for mean pooling, else 0 */
    uint16_t head_quads;       /* ceil(H / 4) of the last layer */
    uint16_t num_reciprocals;  /* of mean pooling: T with a label every step, else 1; 0 without */
    es_preprocess_t preprocess;
    es_pool_t pool;
    const uint16_t *input_shift;            /* [C], left shift of a feature, 0 .. 12 */
    const es_layer_t *layers;               /* [num_layers], from the input up */
    const ES_ROM es_block_t *head_blocks;   /* [ceil(K / 4)] */
    const ES_ROM int16_t *head_weights;
    const ES_ROM int16_t *pool_reciprocals; /* [num_reciprocals], or NULL */
    const char *const *labels;              /* [K], UTF-8 */
    const uint8_t *hash;                    /* [ES_HASH_BYTES], model_hash of the manifest */
    const es_decision_t *decision;          /* NULL: none; generated data without one do not name it */
    uint16_t decision_words;                /* int32 words that it remembers: K + 4, with a distance K + 5, or 0 */
};

/* What the input must be: for a log, or for a host to compare before it sends samples. Numbers as decimal text. */
typedef struct es_channel {
    const char *name;
    const char *unit;
    const char *counts_per_unit;
    const char *full_scale; /* in unit */
} es_channel_t;

typedef struct es_contract {
    const char *sample_rate_hz;
    const char *preprocessing;
    uint32_t window_stride; /* samples between the starts of two training windows */
    uint16_t num_channels;
    const es_channel_t *channels; /* [num_channels], in the order es_step takes them */
} es_contract_t;

/* ---------------------------------------------------------------------------------------------------- a context */

/* One running instance, at the start of the caller's memory. Fields are for the runtime and for debuggers; use the
 * functions below. It holds pointers into the memory, so it cannot be moved: save and restore it. */
struct es_context {
    const es_model_t *model;
    int32_t *memory;         /* [memory_words] what preprocessing remembers */
    int32_t *pool_sum;       /* [pool_words] sum of operands since the window began */
    int32_t *logits;         /* [K] Q16, of the latest label; behind them [decision_words] of the decision stage */
    int16_t *features;       /* [feature_words] */
    int16_t *states;         /* [state_words], layer after layer; padding stays zero */
    int16_t *scratch;        /* [scratch_words] */
    int32_t primed;          /* 1: preprocessing has seen a sample. 32 bits, so that what follows is aligned for them */
    uint16_t step_in_window; /* 0 .. T; what T brings about happens at the next step, so that states can be looked at */
    uint16_t label;
};

struct es_context_alignment {
    char byte;
    es_context_t context;
};

/* Memory of a context must begin at a multiple of this. */
#define ES_CONTEXT_ALIGNMENT offsetof(struct es_context_alignment, context)

/* Bytes of a context; a generated header has it as a constant of its model. */
#define ES_CONTEXT_BYTES(words32, words16) (sizeof(es_context_t) + 4u * (size_t)(words32) + 2u * (size_t)(words16))

/* Bytes of a saved state; a generated header has it as a constant of its model. */
#define ES_STATE_BYTES(words32, words16) (16u + 4u * (size_t)(words32) + 2u * (size_t)(words16))

size_t es_context_bytes(const es_model_t *model);

/* Makes a context in the caller's memory and resets it.
 *   memory   at least es_context_bytes(model) bytes, aligned to ES_CONTEXT_ALIGNMENT, for as long as the context lives
 *   context  out: the context, or NULL on an error
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_MODEL, ES_ERROR_SIZE or ES_ERROR_ALIGNMENT. */
es_status_t es_init(const es_model_t *model, void *memory, size_t bytes, es_context_t **context);

/* Zero states, a new window, no label: as after es_init. */
void es_reset(es_context_t *context);

/* One sample: counts int16 [C], raw, in the order of the contract. Returns ES_LABEL_READY if a label is due, else
 * ES_OK. There is nothing that can fail and nothing is checked. */
es_status_t es_step(es_context_t *context, const int16_t *counts);

/* [K], Q16, of the latest label; zeros before the first. */
const int32_t *es_logits(const es_context_t *context);

/* Index of the latest label, 0 .. K-1; ES_NO_LABEL before the first. */
uint16_t es_label(const es_context_t *context);

/* What the decision stage makes of the labels so far: 0 .. K-1, ES_UNKNOWN, or ES_NO_LABEL before the first. Of a model
 * without a stage it is the latest label. */
uint16_t es_decision(const es_context_t *context);

/* Name of a label, or "" if there is no such label. */
const char *es_label_text(const es_model_t *model, uint16_t label);

/* ---------------------------------------------------------------------------------------------------- saved states */

size_t es_state_bytes(const es_model_t *model);

/* Writes everything that the next step depends on to `bytes`, the same on every machine. The latest label and logits
 * are not part of it. Returns ES_OK, ES_ERROR_ARGUMENT or ES_ERROR_SIZE. */
es_status_t es_state_save(const es_context_t *context, uint8_t *bytes, size_t size);

/* Goes on where a saved state was. Damaged states (checksum, ranges that the proof of SPEC.md rests on) and those of
 * another model are refused with ES_ERROR_STATE and leave the context as it is. */
es_status_t es_state_restore(es_context_t *context, const uint8_t *bytes, size_t size);

/* ---------------------------------------------------------------------------------------------------- self-test */

/* Golden vectors: what the integer reference gave for some windows, each from a reset. */
typedef struct es_golden {
    const es_model_t *model;
    uint16_t num_windows;             /* W */
    uint16_t num_steps;               /* N, samples a window of the test */
    uint16_t num_labels;              /* L, labels due in a window of the test */
    const ES_ROM int16_t *counts;     /* [W, N, C] */
    const ES_ROM uint32_t *state_crc; /* [W, N], es_state_crc() after each step */
    const ES_ROM int32_t *logits;     /* [W, L, K] */
    const ES_ROM uint16_t *labels;    /* [W, L] */
    const ES_ROM uint16_t *decisions; /* [W, L] as es_decision() gives them; NULL without a decision stage */
} es_golden_t;

/* Where a self-test failed. */
typedef struct es_place {
    uint16_t window;
    uint16_t step;
} es_place_t;

/* CRC-32 (as in zlib) of all states, layer after layer, each word as two bytes, low byte first. */
uint32_t es_state_crc(const es_context_t *context);

/* Runs the golden vectors in the caller's memory, as for es_init, and compares labels, logits and states of each step.
 *   failed  out, may be NULL: the first window and step that differ, on ES_ERROR_SELF_TEST
 * Returns ES_OK, ES_ERROR_SELF_TEST or an error of es_init. */
es_status_t es_self_test(const es_golden_t *golden, void *memory, size_t bytes, es_place_t *failed);

/* --------------------------------------------------------- what generated data point to: unused ones are not linked */

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

void es_preprocess_none(es_context_t *context, const int16_t *counts);
void es_preprocess_difference(es_context_t *context, const int16_t *counts);
void es_preprocess_gravity(es_context_t *context, const int16_t *counts);

const int16_t *es_pool_last(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_mean(es_context_t *context, const int16_t *operands, int label_due);

void es_decision_step(es_context_t *context);
int32_t es_distance_excess(const es_context_t *context);

#ifdef __cplusplus
}
#endif

#endif
