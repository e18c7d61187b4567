/* Reads a blob (SPEC.md, section 20): checksum first, then every number, then the tables, which stay where they are.
 * A blob holds no positions: each part follows the one before it, and its size follows from numbers that were checked. */
#include "es_load.h"

#include "es_crc.h"
#include "es_front.h"

#define MAX_CHANNELS 64u
#define MAX_CLASSES 256u
#define MAX_LAYERS 8u
#define MAX_DENSE 8u
#define MAX_FRONT 16u
#define MAX_UNITS 1024u
#define MAX_SLOTS 4096u
#define MAX_FRONT_WORDS 32768u
#define MAX_STATE_WORDS 65535u
#define MAX_WINDOW 16383u
#define SCORE_LIMIT ((uint32_t)1 << 19)
#define DECISION_CODES 4u
#define CRC_AT 16u
#define CONSTANTS_AT 20u /* checksums of the constants, then the hash */
#define NUMBERS_AT ES_BLOB_HEADER
#define COUNTS_BYTES 14u /* text bytes, channels, classes, layers, dense, front */

/* Kinds of recurrent layers, of functions after sums, and of front layers, as numbers of a blob. */
enum { KIND_RNN = 0, KIND_GRU = 1, KIND_LSTM = 2, KIND_FASTGRNN = 3 };
#define BACKWARD 8u /* added to the kind of a layer that runs backward */
#define NIBBLES 16u /* added to the kind of a layer whose weights have 4 bits */
enum { RELU = 0, TANH = 1, NONE = 2, TIME_MEAN = 3, TIME_MAX = 4 };
enum { OF_HEAD = 3 }; /* beside the functions: sums that are the logits */
enum { POOL_LAST = 0, POOL_MEAN = 1, POOL_MAX = 2, POOL_MEAN_MAX = 3, POOL_FLATTEN = 4 };
enum { STEP_NONE = 0, STEP_DIFFERENCE = 1, STEP_GRAVITY = 2 };
#define NUM_STEPS 3u
#define COMPANDING_UNIT 4u /* added to the number of a step for each bit of companding */
#define MAX_COMPANDING 14u
#define AXES 3u
#define MAGNITUDE 256u /* added to the number of channels for each magnitude */

/* Reads a blob from front to end. After the first error it gives zeros. */
typedef struct reader {
    const ES_ROM uint8_t *at;
    uint32_t left;
    uint8_t failed;
} reader_t;

/* What the numbers at the start of a blob say about the sizes of its parts. */
typedef struct counts {
    uint32_t channels;
    uint32_t magnitudes;
    uint32_t features;    /* channels and magnitudes */
    uint32_t shift_words; /* of es_model_t's input_shift */
    uint32_t classes;
    uint32_t layers;
    uint32_t dense;
    uint32_t front;
    uint32_t text_bytes;
} counts_t;

/* Arrays that are built in the caller's memory. */
typedef struct room {
    es_loaded_t *loaded;
    es_layer_t *layers; /* recurrent layers, then dense layers */
    es_front_t *front;
    es_array_t *arrays;
    es_channel_t *channels;
    const char **labels;
    uint16_t *input_shift;
    uint16_t *label_bytes;
    int16_t *pad; /* [features, padded to even] */
    uint8_t *hash;
    char *text;
    uint8_t kinds[MAX_LAYERS];   /* of the recurrent layers, plus NIBBLES */
    uint32_t kept_each;          /* words of the inputs that bidirectional layers keep of a step */
    uint32_t parts;              /* parts of what is read out of the last layers: 2 of a bidirectional one, else 1 */
    uint8_t is_conv[MAX_FRONT]; /* of the front layers */
    uint8_t flattens;           /* rows see all steps of a window */
} room_t;

/* Units and parts that the next dense layer, or the head, sees. */
typedef struct seen {
    uint32_t units;
    uint32_t parts;
} seen_t;

struct alignment_of_loaded {
    char byte;
    es_loaded_t loaded;
};
#define ROOM_ALIGNMENT ((size_t)offsetof(struct alignment_of_loaded, loaded))

/* Blocks of a blob are used as they are, so the compiler must lay them out without gaps. */
typedef char es_block_has_24_bytes[sizeof(es_block_t) == 24u ? 1 : -1];

static uint8_t byte_at(const ES_ROM uint8_t *at)
{
    return (uint8_t)ES_ROM_INT8((const ES_ROM int8_t *)at);
}

static void fail_unless(reader_t *reader, int holds)
{
    if (holds == 0) {
        reader->failed = 1;
    }
}

/* Returns the next bytes and skips them, or NULL. */
static const ES_ROM uint8_t *take(reader_t *reader, uint32_t bytes)
{
    const ES_ROM uint8_t *const here = reader->at;
    if (reader->failed != 0u || bytes > reader->left) {
        reader->failed = 1;
        return NULL;
    }
    reader->at += bytes;
    reader->left -= bytes;
    return here;
}

static uint32_t read16(reader_t *reader)
{
    const ES_ROM uint8_t *const at = take(reader, 2);
    return at == NULL ? 0u : (uint32_t)byte_at(at) | ((uint32_t)byte_at(at + 1) << 8);
}

static uint32_t read32(reader_t *reader)
{
    const uint32_t low = read16(reader);
    return low | (read16(reader) << 16);
}

/* Reads a number of 16 bits from low to high, both included. */
static uint16_t read_within(reader_t *reader, uint32_t low, uint32_t high)
{
    const uint32_t value = read16(reader);
    fail_unless(reader, low <= value && value <= high);
    return reader->failed != 0u ? (uint16_t)low : (uint16_t)value;
}

/* Returns the next table and skips it with its padding to four bytes. Its elements have 1, 2, 4 or 24 bytes. */
static const ES_ROM void *take_table(reader_t *reader, uint32_t count, uint32_t element)
{
    if (count > ES_BLOB_MAX / element) {
        reader->failed = 1;
        return NULL;
    }
    return take(reader, (count * element + 3u) & ~(uint32_t)3u);
}

static uint32_t quads_of(uint32_t units)
{
    return (units + ES_QUAD - 1u) / ES_QUAD;
}

static uint16_t number(uint32_t value)
{
    return (uint16_t)(value & 0xFFFFu);
}

static uint32_t crc_over(const ES_ROM uint8_t *bytes, uint32_t size, uint32_t crc)
{
    const ES_ROM uint8_t *at = bytes;
    uint32_t left = size;
    uint32_t sum = crc;
    for (; left > 0u; left--) {
        sum = es_crc_byte(sum, byte_at(at));
        at++;
    }
    return sum;
}

/* ------------------------------------------------------------------------------------------------ header and memory */

/* True if the bytes begin as a blob does. */
static int is_blob(const ES_ROM uint8_t *blob, size_t size)
{
    static const uint8_t magic[4] = {0x45, 0x53, 0x42, 0x4C}; /* ESBL */
    unsigned index;
    /* size > ES_BLOB_MAX, in a form that a compiler with a size_t of 16 bits does not call useless */
    if (size < NUMBERS_AT + COUNTS_BYTES || (size - 1u) / 4096u >= ES_BLOB_MAX / 4096u) {
        return 0;
    }
    for (index = 0; index < sizeof magic; index++) {
        if (byte_at(blob + index) != magic[index]) {
            return 0;
        }
    }
    return 1;
}

/* Reads what the memory depends on. Returns 0 if a number cannot be. */
static int read_counts(const ES_ROM uint8_t *blob, size_t size, counts_t *counts)
{
    reader_t reader;
    unsigned channels;
    reader.at = blob + NUMBERS_AT;
    reader.left = (uint32_t)size - NUMBERS_AT;
    reader.failed = 0;
    counts->text_bytes = read32(&reader);
    fail_unless(&reader, counts->text_bytes < size);
    channels = read_within(&reader, 1, (MAGNITUDE + 1u) * MAX_CHANNELS);
    counts->channels = channels % MAGNITUDE;
    counts->magnitudes = channels / MAGNITUDE;
    fail_unless(&reader, counts->channels >= 1u && counts->channels <= MAX_CHANNELS);
    fail_unless(&reader, counts->magnitudes <= counts->channels);
    counts->features = counts->channels + counts->magnitudes;
    counts->shift_words = counts->channels;
    if (counts->magnitudes != 0u) {
        counts->shift_words += counts->features + AXES * counts->magnitudes;
    }
    counts->classes = read_within(&reader, 2, MAX_CLASSES);
    counts->layers = read_within(&reader, 1, MAX_LAYERS);
    counts->dense = read_within(&reader, 0, MAX_DENSE);
    counts->front = read_within(&reader, 0, MAX_FRONT);
    return reader.failed == 0u ? 1 : 0;
}

/* Most tables that a model can have: weights and blocks of each layer and of the head, reciprocals, centroids, radii. */
static uint32_t most_arrays(const counts_t *counts)
{
    return 2u * (counts->layers + counts->dense + counts->front + 1u) + 3u;
}

static size_t rounded(size_t bytes)
{
    return (bytes + ROOM_ALIGNMENT - 1u) / ROOM_ALIGNMENT * ROOM_ALIGNMENT;
}

/* Gives `bytes` of the memory from `used` on, aligned for any structure. */
static void *give(uint8_t *memory, size_t *used, size_t bytes)
{
    uint8_t *const here = memory + *used;
    *used += rounded(bytes);
    return here;
}

static size_t bytes_for(const counts_t *counts)
{
    return rounded(sizeof(es_loaded_t)) + rounded((counts->layers + counts->dense) * sizeof(es_layer_t)) +
           rounded(counts->front * sizeof(es_front_t)) + rounded(most_arrays(counts) * sizeof(es_array_t)) +
           rounded(counts->channels * sizeof(es_channel_t)) + rounded(counts->classes * sizeof(const char *)) +
           rounded(counts->shift_words * sizeof(uint16_t)) + rounded(counts->classes * sizeof(uint16_t)) +
           rounded((counts->features + 1u) * sizeof(int16_t)) +
           rounded(ES_HASH_BYTES) + rounded((size_t)counts->text_bytes);
}

static void divide(uint8_t *memory, const counts_t *counts, room_t *room)
{
    size_t used = 0;
    room->loaded = give(memory, &used, sizeof(es_loaded_t));
    room->layers = give(memory, &used, (counts->layers + counts->dense) * sizeof(es_layer_t));
    room->front = give(memory, &used, counts->front * sizeof(es_front_t));
    room->arrays = give(memory, &used, most_arrays(counts) * sizeof(es_array_t));
    room->channels = give(memory, &used, counts->channels * sizeof(es_channel_t));
    room->labels = give(memory, &used, counts->classes * sizeof(const char *));
    room->input_shift = give(memory, &used, counts->shift_words * sizeof(uint16_t));
    room->label_bytes = give(memory, &used, counts->classes * sizeof(uint16_t));
    room->pad = give(memory, &used, (counts->features + 1u) * sizeof(int16_t));
    room->hash = give(memory, &used, ES_HASH_BYTES);
    room->text = give(memory, &used, (size_t)counts->text_bytes);
}

size_t es_load_bytes(const ES_ROM uint8_t *blob, size_t size)
{
    counts_t counts;
    return blob != NULL && is_blob(blob, size) != 0 && read_counts(blob, size, &counts) != 0 ? bytes_for(&counts) : 0u;
}

/* Checks version, byte order, size and checksum. */
static es_status_t check_header(const ES_ROM uint8_t *blob, size_t size)
{
    static const uint16_t order = 0x0102; /* as the blob has it, in the byte order of its tables */
    const unsigned first = *(const uint8_t *)&order;
    reader_t reader;
    uint32_t abi;
    uint32_t crc;
    uint8_t same_order;
    reader.at = blob + 4;
    reader.left = 16;
    reader.failed = 0;
    if (read16(&reader) != ES_BLOB_VERSION) {
        return ES_ERROR_MODEL;
    }
    abi = read16(&reader);
    same_order = byte_at(reader.at) == first && byte_at(reader.at + 1) == 3u - first ? 1u : 0u;
    (void)read32(&reader);
    if (read32(&reader) != size || size % 4u != 0u) {
        return ES_ERROR_BLOB;
    }
    crc = crc_over(blob, CRC_AT, ES_CRC_START);
    if (es_crc_end(crc_over(blob + CRC_AT + 4u, (uint32_t)size - CRC_AT - 4u, crc)) != read32(&reader)) {
        return ES_ERROR_BLOB;
    }
    if (abi != ES_ABI) {
        return ES_ERROR_MODEL;
    }
    return same_order != 0u ? ES_OK : ES_ERROR_BYTE_ORDER;
}

/* --------------------------------------------------------------------------------------------------------- functions */

/* The step of a kind of recurrent layers, plus NIBBLES. */
static es_layer_step_t recurrent_step(unsigned kind)
{
    es_layer_step_t step = NULL;
    (void)kind; /* if no recurrent kind is linked */
#if (ES_LOAD_KINDS & ES_LOAD_RNN) != 0u
    if (kind == (unsigned)KIND_RNN) {
        step = es_rnn_step;
    }
#if (ES_LOAD_KINDS & ES_LOAD_NIBBLES) != 0u
    if (kind == NIBBLES + (unsigned)KIND_RNN) {
        step = es_rnn_nibble_step;
    }
#endif
#endif
#if (ES_LOAD_KINDS & ES_LOAD_GRU) != 0u
    if (kind == (unsigned)KIND_GRU) {
        step = es_gru_step;
    }
#if (ES_LOAD_KINDS & ES_LOAD_NIBBLES) != 0u
    if (kind == NIBBLES + (unsigned)KIND_GRU) {
        step = es_gru_nibble_step;
    }
#endif
#endif
#if (ES_LOAD_KINDS & ES_LOAD_LSTM) != 0u
    if (kind == (unsigned)KIND_LSTM) {
        step = es_lstm_step;
    }
#if (ES_LOAD_KINDS & ES_LOAD_NIBBLES) != 0u
    if (kind == NIBBLES + (unsigned)KIND_LSTM) {
        step = es_lstm_nibble_step;
    }
#endif
#endif
#if (ES_LOAD_KINDS & ES_LOAD_FASTGRNN) != 0u
    if (kind == (unsigned)KIND_FASTGRNN) {
        step = es_fastgrnn_step;
    }
#if (ES_LOAD_KINDS & ES_LOAD_NIBBLES) != 0u
    if (kind == NIBBLES + (unsigned)KIND_FASTGRNN) {
        step = es_fastgrnn_nibble_step;
    }
#endif
#endif
    return step;
}

static es_layer_step_t dense_step(unsigned activation)
{
#if (ES_LOAD_KINDS & ES_LOAD_DENSE) != 0u
    static const es_layer_step_t steps[] = {es_dense_relu_step, es_dense_tanh_step, es_dense_none_step};
    return steps[activation];
#else
    (void)activation;
    return NULL;
#endif
}

static es_front_step_t front_step(unsigned kind, unsigned index)
{
#if (ES_LOAD_KINDS & ES_LOAD_FRONT) != 0u
    static const es_front_step_t steps[] = {es_conv_relu_step, es_conv_tanh_step, es_conv_none_step, es_time_mean_step,
                                            es_time_max_step};
    static const es_front_step_t first[] = {es_conv_features_relu_step, es_conv_features_tanh_step,
                                            es_conv_features_none_step};
    return index == 0u ? first[kind] : steps[kind];
#else
    (void)kind;
    (void)index;
    return NULL;
#endif
}

static es_pool_t pool_of(unsigned pooling)
{
    static const es_pool_t pools[] = {es_pool_last, es_pool_mean, es_pool_max, es_pool_mean_max,
#if (ES_LOAD_KINDS & ES_LOAD_FLATTEN) != 0u
                                      es_pool_flatten
#else
                                      NULL
#endif
    };
    return pools[pooling];
}

static es_flatten_show_t flatten_show(unsigned activation)
{
#if (ES_LOAD_KINDS & ES_LOAD_FLATTEN) != 0u
    static const es_flatten_show_t shows[] = {es_flatten_relu, es_flatten_tanh, es_flatten_none, es_flatten_head};
    return shows[activation];
#else
    (void)activation;
    return NULL;
#endif
}

/* What makes the input of the next layer of the sums of rows that see all steps. `activation`: of
 * their layer, or HEAD */
static void read_flatten(es_chain_t *chain, unsigned pooling, unsigned activation)
{
    chain->flatten_add = NULL;
    chain->flatten_show = NULL;
    if (pooling == (unsigned)POOL_FLATTEN) {
#if (ES_LOAD_KINDS & ES_LOAD_FLATTEN) != 0u
        chain->flatten_add = es_flatten_add;
#endif
        chain->flatten_show = flatten_show(activation);
    }
}

/* The pool of a model with front layers or bidirectional ones. Its code, and that of es_pool_dense, is linked only with
 * those kinds. */
static es_pool_t pool_behind_front(void)
{
#if (ES_LOAD_KINDS & (ES_LOAD_FRONT | ES_LOAD_BOTH)) != 0u
    return es_pool_front;
#else
    return NULL;
#endif
}

static void set_both_steps(es_both_t *both)
{
#if (ES_LOAD_KINDS & ES_LOAD_BOTH) != 0u
    both->step = es_both_step;
    both->end = es_both_end;
#else
    both->step = NULL;
    both->end = NULL;
#endif
}

static es_pool_t pool_before_dense(void)
{
#if (ES_LOAD_KINDS & ES_LOAD_DENSE) != 0u
    return es_pool_dense;
#else
    return NULL;
#endif
}

/* -------------------------------------------------------------------------------------------------------- the numbers */

static void read_settings(reader_t *reader, const counts_t *counts, const room_t *room, unsigned *pooling)
{
    static const es_preprocess_t steps[] = {
        es_preprocess_none,           es_preprocess_difference,           es_preprocess_gravity,
        es_preprocess_companded_none, es_preprocess_companded_difference, es_preprocess_companded_gravity,
        es_preprocess_magnitude_none, es_preprocess_magnitude_difference, es_preprocess_magnitude_gravity,
        es_preprocess_companded_magnitude_none, es_preprocess_companded_magnitude_difference,
        es_preprocess_companded_magnitude_gravity,
    };
    static const uint16_t memory_bits[] = {0, 15, 29};
    es_model_t *const model = &room->loaded->model;
    unsigned step;
    unsigned kind;
    uint32_t index;
    uint16_t *shift = room->input_shift;

    model->abi = ES_ABI;
    model->num_channels = number(counts->channels);
    model->num_classes = number(counts->classes);
    model->num_layers = number(counts->front != 0u ? 0u : counts->layers);
    room->loaded->contract.window_stride = read32(reader);
    model->window_length = read_within(reader, 1, MAX_WINDOW);
    model->label_every_step = read_within(reader, 0, 1);
    model->carry = read_within(reader, 0, counts->front != 0u ? 0u : 1u);
    step = read_within(reader, 0, COMPANDING_UNIT * MAX_COMPANDING + (unsigned)STEP_GRAVITY);
    model->companding = (uint8_t)(step / COMPANDING_UNIT);
    model->num_magnitudes = (uint8_t)counts->magnitudes;
    step %= COMPANDING_UNIT;
    if (step > (unsigned)STEP_GRAVITY) {
        fail_unless(reader, 0);
        step = (unsigned)STEP_NONE;
    }
    model->gravity_shift = read_within(reader, 0, 15);
    *pooling = read_within(reader, 0, POOL_FLATTEN);
    fail_unless(reader, *pooling != (unsigned)POOL_FLATTEN || model->label_every_step == 0u);
    model->num_reciprocals = read_within(reader, 0, MAX_WINDOW);
    kind = 0;
    if (model->companding != 0u) {
        kind = 1;
    }
    if (counts->magnitudes != 0u) {
        kind += 2u;
    }
    model->preprocess = steps[kind * NUM_STEPS + step];
    model->memory_bits = memory_bits[step];
    model->memory_words = number(step == (unsigned)STEP_NONE ? 0u : counts->channels);
    model->feature_words = number(counts->features + counts->features % 2u);
    for (index = 0; counts->magnitudes != 0u && index < counts->channels; index++) {
        *shift = 0; /* the step of the preprocessing does not shift */
        shift++;
    }
    for (index = 0; index < counts->features; index++) {
        *shift = read_within(reader, 0, model->companding != 0u ? 0u : 12u);
        shift++;
    }
    for (index = 0; index < AXES * counts->magnitudes; index++) {
        *shift = read_within(reader, 0, counts->channels - 1u);
        shift++;
    }
    model->input_shift = room->input_shift;
}

static void read_decision(reader_t *reader, const counts_t *counts, const room_t *room)
{
    es_loaded_t *const loaded = room->loaded;
    const unsigned parts = read_within(reader, 0, 2); /* none, a stage, a stage with a distance */
    const uint32_t hysteresis = read32(reader);
    const uint32_t margin = read32(reader);
    loaded->decision.smoothing_shift = read_within(reader, 0, 8);
    loaded->decision.min_labels = read_within(reader, parts == 0u ? 0u : 1u, 255);
    fail_unless(reader, hysteresis <= SCORE_LIMIT && margin <= SCORE_LIMIT);
    loaded->decision.hysteresis = reader->failed != 0u ? 0 : (int32_t)hysteresis;
    loaded->decision.unknown_margin = reader->failed != 0u ? 0 : (int32_t)margin;
    loaded->decision.step = es_decision_step;
    loaded->decision.distance = NULL;
    loaded->decision.adapt = NULL;
    loaded->model.decision = NULL;
    loaded->model.decision_words = 0;
    if (parts != 0u) {
        loaded->model.decision = &loaded->decision;
        loaded->model.decision_words = number(counts->classes + DECISION_CODES + (parts == 2u ? 1u : 0u));
    }
    if (parts == 2u) {
        loaded->distance.excess = es_distance_excess;
        loaded->decision.distance = &loaded->distance;
    }
}

/* Reads the front layers. Returns the units of the last one, or the features without any. */
static uint32_t read_front(reader_t *reader, const counts_t *counts, room_t *room)
{
    es_loaded_t *const loaded = room->loaded;
    uint32_t units = counts->features;
    uint32_t words = 0;
    uint32_t index;
    uint32_t channel;
    for (index = 0; index < counts->front; index++) {
        es_front_t *const front = &room->front[index];
        const unsigned kind = read_within(reader, 0, index == 0u ? NONE : TIME_MAX);
        const uint32_t pads = read_within(reader, 0, index == 0u ? 1u : 0u);
        const uint32_t inputs = units;
        front->step = front_step(kind, (unsigned)index);
        room->is_conv[index] = kind <= (unsigned)NONE ? 1u : 0u;
        units = read_within(reader, 1, MAX_UNITS);
        front->taps = read_within(reader, 1, MAX_SLOTS);
        front->dilation = read_within(reader, 1, MAX_SLOTS);
        front->stride = read_within(reader, 1, MAX_SLOTS);
        front->first = read_within(reader, 0, MAX_WINDOW);
        front->reciprocal = read_within(reader, 0, INT16_MAX);
        front->after = read_within(reader, 0, MAX_SLOTS);
        front->blocks = NULL;
        front->weights = NULL;
        front->pad = pads != 0u ? room->pad : NULL;
        front->units = number(units);
        front->inputs = number(inputs);
        front->in_words = number(index == 0u ? inputs + inputs % 2u : ES_QUAD * quads_of(inputs));
        front->out_words = number(ES_QUAD * quads_of(units));
        fail_unless(reader, ((uint32_t)front->taps - 1u) * front->dilation < MAX_SLOTS);
        fail_unless(reader, kind <= (unsigned)NONE || (units == inputs && front->dilation == 1u));
        front->slots = number(((uint32_t)front->taps - 1u) * front->dilation + 1u);
        fail_unless(reader, front->after < front->slots);
        words += (uint32_t)front->slots * front->in_words + front->out_words;
        fail_unless(reader, words <= MAX_FRONT_WORDS);
        for (channel = 0; pads != 0u && channel < front->in_words; channel++) {
            const uint16_t value = (uint16_t)(read16(reader) ^ 0x8000u);
            room->pad[channel] = (int16_t)((int32_t)value - (int32_t)0x8000);
        }
    }
    loaded->chain.front = counts->front != 0u ? room->front : NULL;
    loaded->chain.num_front = number(counts->front);
    loaded->chain.front_words = number(reader->failed != 0u ? 0u : words);
    return units;
}

/* Sets what follows from the layers that run backward, and checks that the words of all states can be counted. */
static void read_both(reader_t *reader, const counts_t *counts, const room_t *room, uint32_t words)
{
    es_loaded_t *const loaded = room->loaded;
    es_both_t *const both = &loaded->both;
    uint32_t kept = 0;
    set_both_steps(both);
    both->steps = 0;
    loaded->chain.both = NULL;
    loaded->chain.num_behind = number(counts->front != 0u ? counts->layers : 0u);
    if (both->backward != 0u) {
        uint32_t steps;
        loaded->chain.both = both;
        loaded->chain.num_behind = number(counts->layers);
        loaded->model.num_layers = 0;
        loaded->model.chain = &loaded->chain; /* which counts the steps */
        steps = reader->failed != 0u ? 0u : es_front_steps(&loaded->model, loaded->model.window_length);
        fail_unless(reader, loaded->model.label_every_step == 0u && loaded->model.carry == 0u);
        /* below 2^14 steps, each of less than 2^15 words: MAX_LAYERS layers that see at most 2 * MAX_UNITS each */
        fail_unless(reader, steps != 0u && steps * room->kept_each <= MAX_STATE_WORDS);
        if (reader->failed == 0u) {
            both->steps = number(steps);
            kept = steps * room->kept_each;
        }
    }
    fail_unless(reader, words + kept <= MAX_STATE_WORDS);
    both->kept_words = number(kept);
    loaded->model.state_words = number(words + kept);
}

/* Reads the recurrent layers and adds their words. Returns the units of the last one. */
static uint32_t read_layers(reader_t *reader, const counts_t *counts, room_t *room, uint32_t first_sees,
                            uint32_t *widest)
{
    es_model_t *const model = &room->loaded->model;
    es_both_t *const both = &room->loaded->both;
    seen_t below;
    seen_t next;
    uint32_t words = room->loaded->chain.front_words;
    uint32_t index;
    below.units = first_sees;
    below.parts = 1;
    next = below;
    room->kept_each = 0;
    both->backward = 0;
    both->streamed = 0;
    *widest = 0;
    for (index = 0; index < counts->layers; index++) {
        es_layer_t *const layer = &room->layers[index];
        const unsigned read = read_within(reader, 0, NIBBLES + BACKWARD + (unsigned)KIND_FASTGRNN);
        const unsigned nibbles = read / NIBBLES * NIBBLES;
        const uint8_t is_backward = read % NIBBLES >= BACKWARD ? 1u : 0u;
        const unsigned kind = read % BACKWARD;
        const uint32_t units = read_within(reader, 1, MAX_UNITS);
        const uint32_t operands = ES_QUAD * quads_of(units);
        uint8_t of_features;
        uint8_t alone;
        uint32_t seen;
        if (is_backward == 0u) { /* sees what the layers before it give; a backward layer sees what its forward one sees */
            below = next;
            next.parts = 1;
        } else {
            fail_unless(reader, index != 0u && next.parts == 1u && next.units == units);
            next.parts = 2;
            both->backward = number(both->backward | ((uint32_t)1 << index));
        }
        next.units = units;
        fail_unless(reader, kind <= (unsigned)KIND_FASTGRNN);
        of_features = counts->front == 0u && index <= is_backward ? 1u : 0u;
        alone = of_features != 0u && kind == (unsigned)KIND_GRU && below.units % 2u != 0u && below.units != 1u ? 1u : 0u;
        layer->step = recurrent_step(kind + nibbles);
        room->kinds[index] = (uint8_t)(kind + nibbles);
        layer->blocks = NULL;
        layer->weights = NULL;
        layer->hidden_size = number(units);
        layer->wide_pairs = number(of_features != 0u ? model->feature_words / 2u - alone : 0u);
        layer->below_quads = number(of_features != 0u ? 0u : below.parts * quads_of(below.units));
        layer->own_quads = number(quads_of(units));
        layer->state_words = number(kind == (unsigned)KIND_RNN ? operands : 2u * operands);
        layer->cell_frac_bits = read_within(reader, 8, 15);
        layer->wide_alone = number(alone);
        words += layer->state_words;
        *widest = operands > *widest ? operands : *widest;
        seen = of_features != 0u ? model->feature_words : ES_QUAD * (uint32_t)layer->below_quads;
        if (is_backward != 0u && both->streamed == 0u) {
            both->streamed = number(index);
            room->kept_each = seen;
        } else if (is_backward == 0u && both->streamed != 0u) {
            room->kept_each += seen;
        } else {
            /* keeps nothing of its own */
        }
    }
    model->layers = room->layers;
    room->parts = next.parts;
    read_both(reader, counts, room, words);
    return next.units;
}

/* Reads the dense layers. `seen` is what the first of them sees, and becomes what the head sees. */
static void read_dense(reader_t *reader, const counts_t *counts, const room_t *room, unsigned pooling, seen_t *seen)
{
    es_chain_t *const chain = &room->loaded->chain;
    uint32_t words = 0;
    uint32_t index;
    if (counts->dense == 0u) {
        read_flatten(chain, pooling, OF_HEAD);
    }
    for (index = 0; index < counts->dense; index++) {
        es_layer_t *const layer = &room->layers[counts->layers + index];
        const unsigned activation = read_within(reader, 0, NONE);
        layer->step = dense_step(activation);
        layer->blocks = NULL;
        layer->weights = NULL;
        layer->hidden_size = read_within(reader, 1, MAX_UNITS);
        layer->wide_pairs = 0;
        layer->below_quads = number(seen->parts * quads_of(seen->units));
        layer->own_quads = number(quads_of(layer->hidden_size));
        layer->state_words = 0;
        layer->cell_frac_bits = 0;
        layer->wide_alone = 0;
        if (index == 0u) {
            read_flatten(chain, pooling, activation);
        }
        if (index != 0u || pooling != (unsigned)POOL_FLATTEN) { /* else its words are the pool's */
            words += ES_QUAD * (uint32_t)layer->own_quads;
        }
        seen->units = layer->hidden_size;
        seen->parts = 1;
    }
    chain->dense = counts->dense != 0u ? &room->layers[counts->layers] : NULL;
    chain->num_dense = number(counts->dense);
    chain->dense_words = number(words);
}

static void read_golden_sizes(reader_t *reader, es_golden_t *golden)
{
    golden->num_windows = read_within(reader, 1, 0xFFFF);
    golden->num_steps = read_within(reader, 1, 0xFFFF);
    golden->num_labels = read_within(reader, 1, 0xFFFF);
}

/* Sets what follows from the numbers: pools, head, and the steps of the model. */
static void connect(reader_t *reader, const counts_t *counts, room_t *room, unsigned pooling, uint32_t units,
                    uint32_t widest)
{
    es_loaded_t *const loaded = room->loaded;
    es_model_t *const model = &loaded->model;
    const uint8_t means = pooling == (unsigned)POOL_MEAN || pooling == (unsigned)POOL_MEAN_MAX ? 1u : 0u;
    const uint8_t flattens = pooling == (unsigned)POOL_FLATTEN ? 1u : 0u;
    const uint8_t of_head = flattens != 0u && counts->dense == 0u ? 1u : 0u; /* the head sees all steps */
    const uint8_t pools = pooling == (unsigned)POOL_LAST ? 0u : pooling == (unsigned)POOL_MEAN_MAX ? 2u : 1u;
    const uint32_t states = room->parts * ES_QUAD * quads_of(units);
    const uint8_t behind_front = counts->front != 0u || loaded->chain.both != NULL ? 1u : 0u;
    uint32_t read_out = pools * states;
    uint32_t scratch;
    seen_t seen;
    es_pool_t pool;

    seen.units = units;
    seen.parts = room->parts * (pools == 2u ? 2u : 1u);
    room->flattens = flattens;
    fail_unless(reader, flattens == 0u || loaded->chain.both == NULL);
    read_dense(reader, counts, room, pooling, &seen);
    if (flattens != 0u) {
        const uint32_t rows = of_head != 0u ? counts->classes : room->layers[counts->layers].hidden_size;
        read_out = ES_QUAD * quads_of(rows);
    }
    model->pool_words = number(read_out);
    model->head_quads = number(of_head != 0u ? 0u : seen.parts * quads_of(seen.units));
    if (of_head != 0u) {
        read_out = 0; /* the sums are the logits */
    }
    scratch = read_out + loaded->chain.dense_words + (loaded->chain.both != NULL && pools == 0u ? states : 0u);
    model->scratch_words = number(scratch > widest ? scratch : widest);
    pool = behind_front != 0u ? pool_behind_front() : pool_of(pooling);
    loaded->chain.pool = pool;
    model->pool = counts->dense != 0u ? pool_before_dense() : pool;
    model->chain = counts->dense != 0u || behind_front != 0u || flattens != 0u ? &loaded->chain : NULL;
    if (reader->failed == 0u) {
        /* A mean has a reciprocal for each number of steps after which a label is due. */
        const uint32_t steps = es_front_steps(model, model->window_length);
        const uint32_t due = model->label_every_step != 0u ? steps : 1u;
        fail_unless(reader, steps != 0u && model->num_reciprocals == (means != 0u ? due : 0u));
        fail_unless(reader, loaded->decision.distance == NULL ||
                                (of_head == 0u && seen.parts * seen.units <= MAX_UNITS));
    }
}

/* ----------------------------------------------------------------------------------------------- texts and contract */

/* Returns the next text, or "" at the end of the texts. */
static const char *next_text(reader_t *reader, const char **at, const char *end)
{
    const char *const text = *at;
    while (*at != end && **at != '\0') {
        ++*at;
    }
    if (*at == end) {
        reader->failed = 1;
        return "";
    }
    ++*at;
    return text;
}

static void read_texts(reader_t *reader, const counts_t *counts, const room_t *room)
{
    es_contract_t *const contract = &room->loaded->contract;
    const ES_ROM uint8_t *const from = take_table(reader, counts->text_bytes, 1);
    const char *at = room->text;
    const char *const end = room->text + counts->text_bytes;
    uint32_t index;

    for (index = 0; from != NULL && index < counts->text_bytes; index++) {
        room->text[index] = (char)byte_at(from + index);
    }
    if (from == NULL) {
        return;
    }
    contract->sample_rate_hz = next_text(reader, &at, end);
    contract->preprocessing = next_text(reader, &at, end);
    for (index = 0; index < counts->channels; index++) {
        es_channel_t *const channel = &room->channels[index];
        channel->name = next_text(reader, &at, end);
        channel->unit = next_text(reader, &at, end);
        channel->counts_per_unit = next_text(reader, &at, end);
        channel->full_scale = next_text(reader, &at, end);
    }
    for (index = 0; index < counts->classes; index++) {
        const char *const label = at;
        ptrdiff_t bytes;
        room->labels[index] = next_text(reader, &at, end);
        bytes = at - label;
        room->label_bytes[index] = number((uint32_t)bytes);
    }
    fail_unless(reader, at == end);
    contract->num_channels = number(counts->channels);
    contract->channels = room->channels;
    room->loaded->model.labels = room->labels;
}

static uint8_t same_text(const char *one, const char *other)
{
    const char *left = one;
    const char *right = other;
    while (*left == *right && *left != '\0') {
        left++;
        right++;
    }
    return *left == *right ? 1u : 0u;
}

/* True if a loaded model takes the same samples, and gives the same labels, as the firmware expects. */
static uint8_t as_expected(const es_loaded_t *loaded, const es_expected_t *expected)
{
    const es_contract_t *const ours = &loaded->contract;
    const es_contract_t *const theirs = expected->contract;
    unsigned index;
    uint8_t same = loaded->model.num_classes == expected->model->num_classes &&
                           ours->num_channels == theirs->num_channels &&
                           same_text(ours->sample_rate_hz, theirs->sample_rate_hz) != 0u
                       ? 1u
                       : 0u;
    for (index = 0; same != 0u && index < ours->num_channels; index++) {
        const es_channel_t *const one = &ours->channels[index];
        const es_channel_t *const other = &theirs->channels[index];
        same = same_text(one->name, other->name) != 0u && same_text(one->unit, other->unit) != 0u &&
                       same_text(one->counts_per_unit, other->counts_per_unit) != 0u &&
                       same_text(one->full_scale, other->full_scale) != 0u
                   ? 1u
                   : 0u;
    }
    for (index = 0; same != 0u && index < loaded->model.num_classes; index++) {
        same = same_text(loaded->model.labels[index], expected->model->labels[index]);
    }
    return same;
}

/* --------------------------------------------------------------------------------------------------------- the tables */

static const ES_ROM void *read_array(reader_t *reader, const room_t *room, uint32_t count, uint16_t element)
{
    es_constants_t *const constants = &room->loaded->constants;
    es_array_t *const array = &room->arrays[constants->num_arrays];
    array->values = take_table(reader, count, element);
    array->count = count;
    array->element = element;
    fail_unless(reader, count != 0u);
    constants->num_arrays++;
    return array->values;
}

/* Reads `words` weights and `blocks` blocks. */
static void read_rows(reader_t *reader, const room_t *room, uint32_t words, uint32_t blocks,
                      const ES_ROM int16_t **weights, const ES_ROM es_block_t **first)
{
    *weights = read_array(reader, room, words, ES_INT16);
    *first = read_array(reader, room, blocks, ES_BLOCK);
}

static void read_recurrent_rows(reader_t *reader, const room_t *room, uint32_t index)
{
    es_layer_t *const layer = &room->layers[index];
    const uint32_t together = room->kinds[index] >= NIBBLES ? (uint32_t)2 : (uint32_t)1; /* quads that share words */
    const uint32_t groups = (uint32_t)layer->wide_pairs + ((uint32_t)layer->below_quads + together - 1u) / together +
                            ((uint32_t)layer->own_quads + together - 1u) / together;
    uint32_t blocks = layer->hidden_size;
    uint32_t words;
    switch (room->kinds[index] % NIBBLES) {
    case KIND_GRU:
        words = blocks * (6u * groups + 4u * (uint32_t)layer->wide_alone);
        break;
    case KIND_LSTM:
        words = blocks * 8u * groups;
        break;
    case KIND_FASTGRNN:
        blocks = layer->own_quads;
        words = 4u + blocks * 8u * (groups + 1u); /* two scalars, and four offsets a block */
        break;
    default:
        blocks = layer->own_quads;
        words = blocks * 8u * groups;
        break;
    }
    read_rows(reader, room, words, blocks, &layer->weights, &layer->blocks);
}

static void read_front_rows(reader_t *reader, const room_t *room, es_front_t *front, int of_features)
{
    const uint32_t per_block = 8u * ((uint32_t)front->taps * (front->in_words / (of_features != 0 ? 2u : ES_QUAD)));
    const uint32_t blocks = front->out_words / ES_BLOCK_ROWS;
    if (per_block > ES_BLOB_MAX / blocks) {
        reader->failed = 1;
    } else {
        read_rows(reader, room, per_block * blocks, blocks, &front->weights, &front->blocks);
    }
}

/* Reads the rows of a dense layer or of the head, `blocks` of them, which see `quads` of operands: `steps` times if they
 * see all steps of a window, else once. */
static void read_dense_rows(reader_t *reader, const room_t *room, uint32_t blocks, uint32_t quads, uint32_t steps,
                            const ES_ROM int16_t **weights, const ES_ROM es_block_t **first)
{
    const uint32_t words = 8u * blocks * quads; /* at least 8, at most 2^20: there is a block and a quad of operands */
    if (steps > ES_BLOB_MAX / words) {
        reader->failed = 1;
    } else {
        read_rows(reader, room, words * steps, blocks, weights, first);
    }
}

/* Reads all tables of the model, in the order of its generated source. */
static void read_arrays(reader_t *reader, const counts_t *counts, const room_t *room)
{
    es_loaded_t *const loaded = room->loaded;
    es_model_t *const model = &loaded->model;
    const uint32_t head_blocks = (counts->classes + ES_BLOCK_ROWS - 1u) / ES_BLOCK_ROWS;
    const uint32_t of_states = room->layers[counts->layers - 1u].own_quads;
    const uint32_t all = model->chain != NULL && model->chain->flatten_show != NULL
                             ? es_front_steps(model, model->window_length)
                             : 1u;
    uint32_t index;
    loaded->constants.num_arrays = 0;
    for (index = 0; index < counts->layers; index++) {
        read_recurrent_rows(reader, room, index);
    }
    for (index = 0; index < counts->front; index++) {
        if (room->is_conv[index] != 0u) {
            es_front_t *const front = &room->front[index];
            read_front_rows(reader, room, front, index == 0u ? 1 : 0);
        }
    }
    for (index = counts->layers; index < counts->layers + counts->dense; index++) {
        es_layer_t *const layer = &room->layers[index];
        read_dense_rows(reader, room, layer->own_quads, layer->below_quads, index == counts->layers ? all : 1u,
                        &layer->weights, &layer->blocks);
    }
    if (model->head_quads == 0u) {
        read_dense_rows(reader, room, head_blocks, of_states, all, &model->head_weights, &model->head_blocks);
    } else {
        read_dense_rows(reader, room, head_blocks, model->head_quads, 1, &model->head_weights, &model->head_blocks);
    }
    model->pool_reciprocals = NULL;
    if (model->num_reciprocals != 0u) {
        model->pool_reciprocals = read_array(reader, room, model->num_reciprocals, ES_INT16);
    }
    if (loaded->decision.distance != NULL) {
        const es_layer_t *const last = &room->layers[counts->layers + counts->dense - 1u];
        const uint32_t parts = (uint32_t)model->head_quads / last->own_quads;
        loaded->distance.centroids =
            read_array(reader, room, counts->classes * parts * last->hidden_size, ES_INT8);
        loaded->distance.radii = read_array(reader, room, counts->classes, ES_INT32);
    }
    loaded->constants.model = model;
    loaded->constants.arrays = room->arrays;
    loaded->constants.label_bytes = room->label_bytes;
}

static void read_golden(reader_t *reader, es_loaded_t *loaded)
{
    es_golden_t *const golden = &loaded->golden;
    const uint32_t steps = (uint32_t)golden->num_windows * golden->num_steps;
    const uint32_t labels = (uint32_t)golden->num_windows * golden->num_labels;
    golden->model = &loaded->model;
    golden->constants = &loaded->constants;
    fail_unless(reader, steps <= ES_BLOB_MAX && labels < ES_BLOB_MAX);
    if (reader->failed != 0u) {
        return;
    }
    golden->counts = take_table(reader, steps * loaded->model.num_channels, 2); /* below 2^30 */
    golden->state_crc = take_table(reader, steps, 4);
    golden->logits = take_table(reader, labels * loaded->model.num_classes, 4); /* at most 2^32 - 2^8 */
    golden->labels = take_table(reader, labels, 2);
    golden->decisions = NULL;
    if (loaded->model.decision != NULL) {
        golden->decisions = take_table(reader, labels, 2);
    }
}

/* ---------------------------------------------------------------------------------------------------------- loading */

/* True if the firmware has the step functions of all layers. */
static int all_linked(const counts_t *counts, const room_t *room)
{
    uint32_t index;
    for (index = 0; index < counts->layers + counts->dense; index++) {
        if (room->layers[index].step == NULL) {
            return 0;
        }
    }
    if (room->loaded->chain.both != NULL && room->loaded->both.step == NULL) {
        return 0;
    }
    if (room->flattens != 0u && room->loaded->chain.flatten_show == NULL) {
        return 0;
    }
    return counts->front == 0u || room->front[0].step != NULL ? 1 : 0;
}

/* Checksums of the constants, and the hash. */
static void read_checksums(const ES_ROM uint8_t *blob, const room_t *room)
{
    es_loaded_t *const loaded = room->loaded;
    reader_t reader;
    unsigned index;
    reader.at = blob + CONSTANTS_AT;
    reader.left = NUMBERS_AT - CONSTANTS_AT;
    reader.failed = 0;
    loaded->constants.sizes_crc = read32(&reader);
    loaded->constants.list_crc = read32(&reader);
    loaded->constants.crc = read32(&reader);
    for (index = 0; index < ES_HASH_BYTES; index++) {
        room->hash[index] = byte_at(reader.at + index);
    }
    loaded->model.hash = room->hash;
}

/* Reads everything behind the header. Returns ES_OK, ES_ERROR_BLOB or ES_ERROR_MODEL. */
static es_status_t read_model(const ES_ROM uint8_t *blob, size_t size, const counts_t *counts, room_t *room)
{
    reader_t reader;
    unsigned pooling;
    uint32_t units;
    uint32_t widest;

    read_checksums(blob, room);
    reader.at = blob + NUMBERS_AT + COUNTS_BYTES;
    reader.left = (uint32_t)size - NUMBERS_AT - COUNTS_BYTES;
    reader.failed = 0;
    read_settings(&reader, counts, room, &pooling);
    read_decision(&reader, counts, room);
    read_golden_sizes(&reader, &room->loaded->golden);
    units = read_front(&reader, counts, room);
    units = read_layers(&reader, counts, room, units, &widest);
    connect(&reader, counts, room, pooling, units, widest);
    (void)take(&reader, (uint32_t)((4u - ((uint32_t)size - reader.left) % 4u) % 4u)); /* tables are aligned */
    read_texts(&reader, counts, room);
    if (reader.failed != 0u) {
        return ES_ERROR_BLOB;
    }
    if (all_linked(counts, room) == 0) {
        return ES_ERROR_MODEL;
    }
    read_arrays(&reader, counts, room);
    read_golden(&reader, room->loaded);
    return reader.failed == 0u && reader.left == 0u ? ES_OK : ES_ERROR_BLOB;
}

es_status_t es_load(const ES_ROM uint8_t *blob, size_t size, const es_expected_t *expected, void *memory, size_t bytes,
                    const es_loaded_t **loaded)
{
    counts_t counts;
    room_t room;
    es_status_t status;

    if (loaded == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    *loaded = NULL;
    if (blob == NULL || memory == NULL ||
        (expected != NULL && (expected->model == NULL || expected->contract == NULL))) {
        return ES_ERROR_ARGUMENT;
    }
    if ((uintptr_t)blob % ES_BLOB_ALIGNMENT != 0u || (uintptr_t)memory % ROOM_ALIGNMENT != 0u) {
        return ES_ERROR_ALIGNMENT;
    }
    if (is_blob(blob, size) == 0) {
        return ES_ERROR_BLOB;
    }
    status = check_header(blob, size);
    if (status != ES_OK) {
        return status;
    }
    if (read_counts(blob, size, &counts) == 0) {
        return ES_ERROR_BLOB;
    }
    if (bytes < bytes_for(&counts)) {
        return ES_ERROR_SIZE;
    }
    divide(memory, &counts, &room);
    status = read_model(blob, size, &counts, &room);
    if (status == ES_OK && expected != NULL && as_expected(room.loaded, expected) == 0u) {
        status = ES_ERROR_CONTRACT;
    }
    if (status == ES_OK) {
        *loaded = room.loaded;
    }
    return status;
}
