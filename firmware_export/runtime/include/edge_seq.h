/* edge_seq: integer recurrent classifiers for firmware. This is the public interface; SPEC.md defines every number.
 *
 *     static car_memory_t memory;                       size and alignment come from the generated car.h
 *     es_context_t *context;
 *     if (es_init(&car_model, &memory, sizeof memory, &context) != ES_OK) { ... }
 *     for (;;) {
 *         read_sensor(counts);                          raw counts, int16 [C]
 *         if (es_step(context, counts) == ES_LABEL_READY) { use(es_label(context)); }
 *     }
 *
 * No heap, no globals, no floating point, no recursion. Contexts are independent: any number of them, for one model
 * or several, may run interleaved. Two threads must not use one context at the same time. */
#ifndef EDGE_SEQ_H
#define EDGE_SEQ_H

#include <stddef.h>
#include <stdint.h>

#include "es_port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_ABI 3u            /* version of the layout of generated data; es_init refuses others */
#define ES_BLOCK_ROWS 4u     /* rows of a block, which are computed together */
#define ES_QUAD 4u           /* operands of a quad: two fine, then two coarse */
#define ES_HASH_BYTES 32u    /* SHA-256 of the model */
#define ES_NO_LABEL 0xFFFFu  /* es_label() and es_decision() before the first label is due */
#define ES_UNKNOWN 0xFFFEu   /* es_decision(): no class leads by enough, or the states are unusual */
#define ES_CONSTANTS 0xFFFFu /* es_place_t: not a window, the checksum of the constants differs */

/* ---------------------------------------------------------------------------------------------------- status */

typedef enum es_status {
    ES_OK = 0,
    ES_LABEL_READY,      /* es_step only: a label is due; es_label() and es_logits() return it */
    ES_ERROR_ARGUMENT,   /* a pointer is NULL that must not be */
    ES_ERROR_MODEL,      /* the generated data and the runtime have different versions */
    ES_ERROR_SIZE,       /* the memory or the buffer is too small */
    ES_ERROR_ALIGNMENT,  /* the memory does not begin at a multiple of ES_CONTEXT_ALIGNMENT */
    ES_ERROR_STATE,      /* a saved state is damaged or from another model; the context is unchanged */
    ES_ERROR_SELF_TEST,  /* the constants differ from their checksum, or results from the golden vectors */
    ES_CHECK_DONE,       /* es_check_constants only: all constants equal their checksums */
    ES_ERROR_BLOB,       /* es_load: not a blob of a model, or damaged, or with a number that cannot be */
    ES_ERROR_BYTE_ORDER, /* es_load: the blob was made for the other byte order */
    ES_ERROR_CONTRACT,   /* es_load: the blob's sample rate, channels or labels are not the expected ones */
    ES_ERROR_FLASH       /* es_update: the flash did not take what was written */
} es_status_t;

/* Text of a status, for a log. Its table is in a separate file, so it costs nothing if this is not called. */
const char *es_status_text(es_status_t status);

/* ---------------------------------------------------------------------------------------- generated data, all
 * const */

typedef struct es_layer es_layer_t;
typedef struct es_front es_front_t;
typedef struct es_model es_model_t;
typedef struct es_context es_context_t;
typedef struct es_golden es_golden_t;
typedef struct es_adapt es_adapt_t; /* es_adapt.h */

#if !ES_OPAQUE

/* Constants of the four rows of a block. RNN, FastGRNN, dense layers and head: four consecutive rows (rows beyond the last are zero).
 * LSTM: input, forget, cell and output gate of one unit. GRU: reset gate, update gate, new gate's input part and hidden
 * part of one unit. */
typedef struct es_block {
    int32_t bias[ES_BLOCK_ROWS];
    int16_t multiplier[ES_BLOCK_ROWS]; /* 1 .. 32767; 0 in rows beyond the last */
} es_block_t;

/* One time step of a layer.
 *   below    features int16 [C, padded to even], or operands of the layer below int16 [4 * below_quads]
 *   state    int16 [state_words], in and out; of a dense layer its output, int16 [4 * own_quads], out
 *   scratch  int16 [4 * own_quads], any contents; holds the new operands while the old ones are still read. A dense layer
 *            does not use it. */
typedef void (*es_layer_step_t)(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

/* Weights are stored in the order of use, block by block. A block holds the wide weights in pairs of columns, then the
 * narrow weights for the layer below in quads, then those for the layer's own state in quads. A pair or quad holds two
 * words for each row, row by row. In a pair, each column has one word. If a GRU's last column stands alone, it has one
 * word for each of the three rows, and a zero. In a quad, the bytes b0 b1 (fine) and b2 b3 (coarse) form the words
 * 256 b2 + unsigned(b0) and 256 b3 + unsigned(b1). A FastGRNN has numbers of 32 bits among its weights, as two words,
 * low half first: zeta and nu before the first block, the update offsets of four units at the end of each block.
 *
 * A recurrent layer whose narrow weights have 4 bits has words for one of two quads only: as numbers of 32 bits, those of
 * the second are those of the first, shifted left by four. Of an odd number of quads, the first is alone. */
struct es_layer {
    es_layer_step_t step;
    const ES_ROM es_block_t *blocks;  /* RNN, FastGRNN and dense: [ceil(H / 4)]; GRU and LSTM: [H] */
    const ES_ROM int16_t *weights;
    uint16_t hidden_size;    /* H */
    uint16_t wide_pairs;     /* pairs of columns: first layer ceil(C / 2), one less if a column stands alone; else 0 */
    uint16_t below_quads;    /* ceil(H / 4) of the layer below; 0 in the first layer */
    uint16_t own_quads;      /* ceil(H / 4) */
    uint16_t state_words;    /* operands, and as many again for the hidden or cell state of all kinds but the RNN */
    uint16_t cell_frac_bits; /* LSTM: fractional bits of the cell state, 8 .. 15 */
    uint16_t wide_alone;     /* GRU: 1 in the first layer if C is odd and not 1: its last column stands alone; else 0 */
};

/* Computes the features of one sample: int16 counts [C] to context->features. */
typedef void (*es_preprocess_t)(es_context_t *context, const int16_t *counts);

/* Adds one step's operands to the pools. If a label is due, returns the input of the head, int16 [4 * head_quads]. */
typedef const int16_t *(*es_pool_t)(es_context_t *context, const int16_t *operands, int label_due);

/* Processes the latest logits and label. Its memory is in the context. */
typedef void (*es_decision_step_t)(es_context_t *context);

/* Distance from the head's input at the latest label to the centroid of that label, minus the label's radius, Q7. */
typedef int32_t (*es_distance_excess_t)(const es_context_t *context);

/* The usual inputs of the head for each label: a centroid and a radius. */
typedef struct {
    es_distance_excess_t excess;
    const ES_ROM int8_t *centroids; /* [K, number of values that the head sees], Q7 */
    const ES_ROM int32_t *radii;    /* [K], 0 .. 2^18, Q7 */
} es_distance_t;

/* The decision stage: turns labels into decisions, with smoothing, hysteresis, a minimum duration and "unknown"
 * (SPEC.md, section 14). */
typedef struct {
    es_decision_step_t step;
    int32_t hysteresis;       /* 0 .. 2^19, Q16 */
    int32_t unknown_margin;   /* 0 .. 2^19, Q16 */
    uint16_t smoothing_shift; /* 0 .. 8 */
    uint16_t min_labels;      /* 1 .. 255 */
    const es_distance_t *distance; /* NULL: none; generated data without a distance leave it out */
    es_adapt_t *adapt;             /* NULL: the head does not learn; generated data leave it out */
} es_decision_t;

/* Computes the output of a front layer.
 *   ring    int16 [slots, in_words], its last inputs
 *   number  number of its inputs since the window began, 1 or more
 *   latest  slot of the latest, (number - 1) mod slots
 *   output  int16 [out_words], out: operands */
typedef void (*es_front_step_t)(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                                int16_t *output);

/* A layer between the features and the first recurrent layer: a convolution or a pool over time. Weights are those of
 * four consecutive rows a block: in a block input by input, the oldest first, in pairs of features (first layer) or in
 * quads of operands. */
struct es_front {
    es_front_step_t step;
    const ES_ROM es_block_t *blocks; /* convolution: [ceil(R / 4)] */
    const ES_ROM int16_t *weights;   /* convolution */
    const int16_t *pad;              /* [in_words] for inputs before the window, aligned to words; NULL: zeros */
    uint16_t units;                  /* R */
    uint16_t inputs;                 /* numbers of an input, without padding */
    uint16_t in_words;               /* features padded to even, or operands padded to a multiple of four */
    uint16_t out_words;              /* R padded to a multiple of four */
    uint16_t slots;                  /* inputs that the ring holds */
    uint16_t taps;                   /* inputs that an output sees */
    uint16_t dilation;               /* inputs from one that an output sees to the next */
    uint16_t stride;                 /* inputs from one output to the next */
    uint16_t first;                  /* inputs before the one with the first output */
    uint16_t reciprocal;             /* mean: factor of the sum */
    uint16_t after;                  /* inputs behind the window, zeros or `pad`, at its last sample */
};

/* Runs the recurrent layers at a step, or at a window's end those from the first that runs backward on. */
typedef void (*es_both_step_t)(es_context_t *context, const int16_t *input, uint16_t step);
typedef const int16_t *(*es_both_end_t)(es_context_t *context);

/* Bidirectional layers. A layer that runs backward sees what the layer before it sees; what comes after both sees the
 * operands of the forward layer, then those of the backward layer. */
typedef struct {
    es_both_step_t step;
    es_both_end_t end;
    uint16_t streamed;   /* layers that run at each step: those below the first that runs backward, 1 or more */
    uint16_t steps;      /* of a window */
    uint16_t kept_words; /* inputs of all steps, of each layer that runs at the window's end, but one of two that see the
                          * same; in the states, between front layers and recurrent layers */
    uint16_t backward;   /* bit n: layer n runs backward */
} es_both_t;
/* Adds what a step, counted from 1, gives to the results of the rows that see the operands of all steps of a window. */
typedef void (*es_flatten_add_t)(es_context_t *context, const int16_t *operands, uint16_t step);

/* What those results become: the input of the next dense layer or of the head; NULL if they are the logits. */
typedef const int16_t *(*es_flatten_show_t)(es_context_t *context);

/* The layers around the recurrent ones: front layers before them, dense layers between pool and head. */
typedef struct {
    es_pool_t pool;           /* the pool that dense layers see; then the model's pool is es_pool_dense */
    const es_layer_t *dense;  /* [num_dense] */
    const es_front_t *front;  /* [num_front]; with these or `both` the pool is es_pool_front, which runs all layers */
    uint16_t num_dense;       /* 0 .. 8 */
    uint16_t dense_words;     /* operands of all dense layers, but of one that sees all steps */
    uint16_t num_front;       /* 0 .. 16 */
    uint16_t front_words;     /* rings and outputs of all front layers, the first words of the states */
    uint16_t num_behind;      /* recurrent layers that es_pool_front runs; es_model_t has 0 then */
    es_flatten_add_t flatten_add;   /* NULL unless the first dense layer, or without one the head, sees all steps */
    es_flatten_show_t flatten_show; /* likewise. The weights of these rows are those of the first step, then of the next */
    const es_both_t *both;    /* NULL: no layer runs backward; generated data leave it out then */
} es_chain_t;

struct es_model {
    uint16_t abi;              /* ES_ABI */
    uint16_t num_channels;     /* C, 1 .. 64 */
    uint16_t num_classes;      /* K, 2 .. 256 */
    uint16_t num_layers;       /* 1 .. 8; 0 where es_pool_front runs them, see es_num_layers */
    uint16_t window_length;    /* T, 1 .. 16383 */
    uint16_t label_every_step; /* 1: a label after each sample; 0: a label at the end of each window */
    uint16_t carry;            /* 1: states are carried into the next window; 0: they are reset */
    uint16_t gravity_shift;    /* shift of the low-pass of es_preprocess_gravity */
    uint16_t memory_words;     /* int32 words of preprocessing's memory: C or 0 */
    uint16_t memory_bits;      /* each of these words is in [-2^bits, 2^bits) */
    uint16_t feature_words;    /* C, with magnitudes C + M, padded to even */
    uint16_t state_words;      /* sum over the front layers, the kept inputs and the layers */
    uint16_t scratch_words;    /* operands of the widest layer, or what is read out if that is more */
    uint16_t pool_words;       /* operands of the last layer for each pool: the mean, the largest, or both; with flatten
                                  the rows that see all steps, padded to a multiple of four; else 0 */
    uint16_t head_quads;       /* of the last dense layer ceil(H / 4), of the last layer's pools as many each; 0 if the
                                  head sees all steps */
    uint16_t num_reciprocals;  /* with a mean: T with a label every step, else 1; without a mean: 0 */
    es_preprocess_t preprocess;
    es_pool_t pool;
    const uint16_t *input_shift;            /* [C], left shift of a feature, 0 .. 12; 0 if companded. With magnitudes:
                                               [C] zeros, then these shifts [C + M], then three channels of each [M] */
    const es_layer_t *layers;               /* [es_num_layers], from the input to the output */
    const ES_ROM es_block_t *head_blocks;   /* [ceil(K / 4)] */
    const ES_ROM int16_t *head_weights;
    const ES_ROM int16_t *pool_reciprocals; /* [num_reciprocals], or NULL */
    const char *const *labels;              /* [K], UTF-8 */
    const uint8_t *hash;                    /* [ES_HASH_BYTES], model_hash of the manifest */
    const es_decision_t *decision;          /* NULL: none; generated data without a stage leave it out; see es_adapt.h */
    const es_chain_t *chain;                /* NULL: none; generated data without a chain leave it out */
    uint16_t decision_words;                /* int32 words of its memory: K + 4, with a distance K + 5; 0: no stage */
    uint8_t companding;                     /* bits of es_preprocess_companded_*, 1 .. 14; generated data leave it out
                                               where features are not companded */
    uint8_t num_magnitudes;                 /* M, of es_preprocess_*magnitude_*, 1 .. C; generated data leave it out
                                               where there are none */
};

/* Number of features: one of each channel, then the magnitudes. */
static inline uint16_t es_num_features(const es_model_t *model)
{
    return (uint16_t)(model->num_channels + model->num_magnitudes);
}

/* Number of recurrent layers. */
static inline uint16_t es_num_layers(const es_model_t *model)
{
    return model->num_layers != 0u ? model->num_layers : model->chain->num_behind;
}

/* Words of what is shown of what is read out: the pooled operands, then the outputs of dense layers. Sums that are the
 * logits are none. */
static inline size_t es_read_out_words(const es_model_t *model)
{
    return (model->head_quads != 0u ? (size_t)model->pool_words : 0u) +
           (model->chain != NULL ? model->chain->dense_words : 0u);
}

#endif

/* The sensor contract: what the input must be. For a log, or for a host that compares it before it sends samples.
 * Numbers are decimal texts. */
typedef struct es_channel {
    const char *name;
    const char *unit;
    const char *counts_per_unit;
    const char *full_scale; /* in unit */
} es_channel_t;

typedef struct es_contract {
    const char *sample_rate_hz;
    const char *preprocessing;
    uint32_t window_stride; /* samples from the start of one training window to the next */
    uint16_t num_channels;
    const es_channel_t *channels; /* [num_channels], in the order of es_step's counts */
} es_contract_t;

/* ---------------------------------------------------------------------------------------------------- a context */

/* One running instance of a model, at the start of the caller's memory. The fields are for the runtime and for
 * debuggers; use the functions below. A context holds pointers into its memory, so it cannot be copied to another
 * place: save and restore its state instead. */
struct es_context {
    const es_model_t *model;
    int32_t *memory;         /* [memory_words] memory of preprocessing */
    int32_t *pools;          /* [pool_words] sums of operands since the window began, then the largest of them; or sums
                                of the results of the rows that see all steps */
    int32_t *logits;         /* [K] Q16, of the latest label; then [decision_words] of the decision stage */
    int16_t *features;       /* [feature_words] */
    int16_t *states;         /* [state_words], layer after layer; padding stays zero */
    int16_t *scratch;        /* [scratch_words]; after a label what was read out: pools, dense layers */
    int32_t primed;          /* 1: preprocessing has seen a sample; 32 bits for the alignment of the memory after it */
    uint16_t step_in_window; /* 0 .. T; at T, the next step begins a window, so that states can be read before */
    uint16_t label;
};

struct es_context_alignment {
    char byte;
    es_context_t context;
};

/* Alignment of a context's memory, bytes. */
#define ES_CONTEXT_ALIGNMENT offsetof(struct es_context_alignment, context)

/* Size of a context in bytes. A generated header has it as a constant for its model. */
#define ES_CONTEXT_BYTES(words32, words16) (sizeof(es_context_t) + 4u * (size_t)(words32) + 2u * (size_t)(words16))

/* Size of a saved state in bytes. A generated header has it as a constant for its model. */
#define ES_STATE_BYTES(words32, words16) (16u + 4u * (size_t)(words32) + 2u * (size_t)(words16))

size_t es_context_bytes(const es_model_t *model);

/* Creates a context in the caller's memory and resets it.
 *   memory   at least es_context_bytes(model) bytes, aligned to ES_CONTEXT_ALIGNMENT; must live as long as the context
 *   context  out: the context, or NULL on an error
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_MODEL, ES_ERROR_SIZE or ES_ERROR_ALIGNMENT. */
es_status_t es_init(const es_model_t *model, void *memory, size_t bytes, es_context_t **context);

/* Sets all states to zero, begins a window and clears the label, as after es_init. */
void es_reset(es_context_t *context);

/* Processes one sample: raw counts int16 [C], in the order of the contract. Returns ES_LABEL_READY if a label is due,
 * else ES_OK. It cannot fail, and it checks nothing. */
es_status_t es_step(es_context_t *context, const int16_t *counts);

/* Logits of the latest label, [K], Q16; zeros before the first label. */
const int32_t *es_logits(const es_context_t *context);

/* Index of the latest label, 0 .. K-1; ES_NO_LABEL before the first. */
uint16_t es_label(const es_context_t *context);

/* Output of the decision stage: 0 .. K-1, ES_UNKNOWN, or ES_NO_LABEL before the first label. Without a decision stage
 * it is the latest label. */
uint16_t es_decision(const es_context_t *context);

/* Name of a label, UTF-8; "" if there is no such label. */
const char *es_label_text(const es_model_t *model, uint16_t label);

/* ---------------------------------------------------------------------------------------------------- saved states */

size_t es_state_bytes(const es_model_t *model);

/* Writes everything that the next step depends on to `bytes`, in a format that is the same on every machine. The
 * latest label and logits are not saved. Returns ES_OK, ES_ERROR_ARGUMENT or ES_ERROR_SIZE. */
es_status_t es_state_save(const es_context_t *context, uint8_t *bytes, size_t size);

/* Continues from a saved state. Returns ES_ERROR_STATE and leaves the context unchanged if the state is damaged (its
 * checksum, or a range that the proof in SPEC.md relies on) or from another model. */
es_status_t es_state_restore(es_context_t *context, const uint8_t *bytes, size_t size);

/* ---------------------------------------------------------------------------------------------------- self-test */

/* Types of an array's elements. */
#define ES_INT8 1u
#define ES_INT16 2u
#define ES_INT32 4u
#define ES_BLOCK 24u /* es_block_t */

typedef struct es_array {
    const ES_ROM void *values;
    uint32_t count;   /* elements, at least 1 */
    uint16_t element; /* ES_INT8, ES_INT16, ES_INT32 or ES_BLOCK */
} es_array_t;

/* What es_check_constants reads and compares; generated. */
typedef struct es_constants {
    const es_model_t *model;
    const es_array_t *arrays;    /* [num_arrays], all large tables of the model */
    const uint16_t *label_bytes; /* [K], of each label in UTF-8, with the zero at its end */
    uint32_t sizes_crc;          /* CRC-32 of the model's numbers and num_arrays */
    uint32_t list_crc;           /* CRC-32 of label_bytes, and of the arrays' counts and types */
    uint32_t crc;                /* CRC-32 of all other numbers, the hash, the labels and the arrays */
    uint16_t num_arrays;
} es_constants_t;

/* A round of es_check_constants under way. The fields are for the runtime. */
typedef struct es_check {
    const es_constants_t *constants;
    uint32_t crc;
    uint32_t at; /* next element of the part */
    size_t bytes;
    uint16_t part;
} es_check_t;

/* Prepares a check of constants. Returns ES_OK or ES_ERROR_ARGUMENT. */
es_status_t es_check_begin(es_check_t *check, const es_constants_t *constants);

/* Compares a model's constants and the runtime's activation table with their CRC-32 (SPEC.md, section 13), a slice in
 * each call, so that it fits into idle time. It finds one or two flipped bits for certain, and other damage but for one
 * case in 2^32. It does not see pointers, functions, the golden vectors and the texts of the contract.
 *   bytes  reads about so many: a few hundred for a slice, SIZE_MAX for a whole round
 * Returns ES_OK if there is more to read, ES_CHECK_DONE if all constants were read and hold, or ES_ERROR_SELF_TEST. The
 * next call after the last two begins a new round. ES_ERROR_ARGUMENT: es_check_begin was not called. */
es_status_t es_check_constants(es_check_t *check, size_t bytes);

/* Golden vectors: results of the integer reference for some windows, each from a reset. */
#if !ES_OPAQUE
struct es_golden {
    const es_model_t *model;
    const es_constants_t *constants;  /* of this model */
    uint16_t num_windows;             /* W */
    uint16_t num_steps;               /* N, samples in each window of the test */
    uint16_t num_labels;              /* L, labels due in each window of the test */
    const ES_ROM int16_t *counts;     /* [W, N, C] */
    const ES_ROM uint32_t *state_crc; /* [W, N], es_state_crc() after each step */
    const ES_ROM int32_t *logits;     /* [W, L, K] */
    const ES_ROM uint16_t *labels;    /* [W, L] */
    const ES_ROM uint16_t *decisions; /* [W, L], results of es_decision(); NULL without a decision stage */
};
#endif

/* Position of a self-test's first mismatch. */
typedef struct es_place {
    uint16_t window; /* ES_CONSTANTS if the constants differ from their checksum */
    uint16_t step;   /* 0 then */
} es_place_t;

/* Copies one sample of the golden windows, raw counts int16 [C], to replay them: from C++ too, and where the tables are
 * in program memory. Returns 1, or 0 if there is no such window or step; then nothing is written. */
int es_golden_sample(const es_golden_t *golden, uint16_t window, uint16_t step, int16_t *counts);

/* CRC-32 (as in zlib) of all states, layer by layer, each word as two bytes, low byte first. */
uint32_t es_state_crc(const es_context_t *context);

/* Checks all constants as es_check_constants does. Then runs the golden vectors in the caller's memory (see es_init)
 * and compares the labels, logits and states of each step: this tries the code and the pointers on some samples, not
 * on all inputs.
 *   failed  out, may be NULL: on ES_ERROR_SELF_TEST, the first window and step that differ, or ES_CONSTANTS
 * Returns ES_OK, ES_ERROR_SELF_TEST or an error of es_init; ES_ERROR_MODEL also for golden vectors of an older export. */
es_status_t es_self_test(const es_golden_t *golden, void *memory, size_t bytes, es_place_t *failed);

/* ------------------------------------ functions that generated data point to; unused ones are not linked */

void es_rnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_gru_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_lstm_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

/* The same for layers whose narrow weights have 4 bits. */
void es_rnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_gru_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_lstm_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_fastgrnn_nibble_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

void es_dense_relu_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_dense_tanh_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);
void es_dense_none_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch);

void es_conv_features_relu_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                                int16_t *output);
void es_conv_features_tanh_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                                int16_t *output);
void es_conv_features_none_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                                int16_t *output);
void es_conv_relu_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                       int16_t *output);
void es_conv_tanh_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                       int16_t *output);
void es_conv_none_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                       int16_t *output);
void es_time_mean_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                       int16_t *output);
void es_time_max_step(const es_front_t *front, const int16_t *ring, uint16_t number, uint16_t latest,
                      int16_t *output);

void es_preprocess_none(es_context_t *context, const int16_t *counts);
void es_preprocess_difference(es_context_t *context, const int16_t *counts);
void es_preprocess_gravity(es_context_t *context, const int16_t *counts);
/* The same, and then the logarithm of `companding`. Their input_shift is 0. */
void es_preprocess_companded_none(es_context_t *context, const int16_t *counts);
void es_preprocess_companded_difference(es_context_t *context, const int16_t *counts);
void es_preprocess_companded_gravity(es_context_t *context, const int16_t *counts);
/* The same, with the lengths of the vectors of three axes behind the channels' features. */
void es_preprocess_magnitude_none(es_context_t *context, const int16_t *counts);
void es_preprocess_magnitude_difference(es_context_t *context, const int16_t *counts);
void es_preprocess_magnitude_gravity(es_context_t *context, const int16_t *counts);
void es_preprocess_companded_magnitude_none(es_context_t *context, const int16_t *counts);
void es_preprocess_companded_magnitude_difference(es_context_t *context, const int16_t *counts);
void es_preprocess_companded_magnitude_gravity(es_context_t *context, const int16_t *counts);

const int16_t *es_pool_last(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_mean(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_max(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_mean_max(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_dense(es_context_t *context, const int16_t *operands, int label_due);
const int16_t *es_pool_front(es_context_t *context, const int16_t *features, int label_due);
const int16_t *es_pool_flatten(es_context_t *context, const int16_t *operands, int label_due);

void es_flatten_add(es_context_t *context, const int16_t *operands, uint16_t step);
const int16_t *es_flatten_relu(es_context_t *context);
const int16_t *es_flatten_tanh(es_context_t *context);
const int16_t *es_flatten_none(es_context_t *context);
const int16_t *es_flatten_head(es_context_t *context);

void es_both_step(es_context_t *context, const int16_t *input, uint16_t step);
const int16_t *es_both_end(es_context_t *context);

void es_decision_step(es_context_t *context);
int32_t es_distance_excess(const es_context_t *context);

#ifdef __cplusplus
}
#endif

#endif
