/* Checksums of a model's constants (SPEC.md, section 13). */
#include "edge_seq.h"
#include "es_crc.h"
#include "es_tanh.h"

/* A round has these parts. The first three end with a comparison, so that the parts after them can trust the counts
 * and never read beyond an array. So does the last array. */
#define SIZES 0u   /* numbers of the model */
#define LIST 1u    /* lengths of the labels, counts and types of the arrays */
#define TABLE 2u   /* the activation table */
#define NUMBERS 3u /* numbers of the layers and the decision stage, input shifts, hash, labels */
#define ARRAYS 4u  /* this part and those after it: one array each */

/* Keeps gcc and clang from copying a function to each of its calls, which would double the size of this file. */
#if defined(__GNUC__)
#define ONCE __attribute__((noinline))
#else
#define ONCE
#endif

/* Adds a number of one, two or four bytes, low byte first. */
static ONCE void add(es_check_t *check, uint32_t value, unsigned bytes)
{
    uint32_t left = value;
    check->bytes += bytes;
    for (; bytes > 0u; bytes--) {
        check->crc = es_crc_byte(check->crc, (uint8_t)(left & 0xFFu));
        left /= 256u;
    }
}

static void add16(es_check_t *check, uint16_t value)
{
    add(check, value, 2);
}

static void add32(es_check_t *check, int32_t value)
{
    add(check, (uint32_t)value, 4);
}

/* numbers [count] */
static void add16s(es_check_t *check, const uint16_t *numbers, size_t count)
{
    size_t index;
    for (index = 0; index < count; index++) {
        add16(check, numbers[index]);
    }
}

/* text [bytes], with the zero at its end. The bytes are counted, as a damaged zero would not end the text. */
static void add_text(es_check_t *check, const char *text, size_t bytes)
{
    size_t index;
    for (index = 0; index < bytes; index++) {
        add(check, (uint8_t)text[index], 1);
    }
}

/* Adds one element of an array. */
static void add_element(es_check_t *check, const es_array_t *array, uint32_t index)
{
    switch (array->element) {
    case ES_INT8:
        add(check, (uint8_t)ES_ROM_INT8((const ES_ROM int8_t *)array->values + index), 1);
        break;
    case ES_INT16:
        add16(check, (uint16_t)ES_ROM_INT16((const ES_ROM int16_t *)array->values + index));
        break;
    case ES_INT32:
        add32(check, ES_ROM_INT32((const ES_ROM int32_t *)array->values + index));
        break;
    default: {
        const ES_ROM es_block_t *const block = (const ES_ROM es_block_t *)array->values + index;
        unsigned row;
        for (row = 0; row < ES_BLOCK_ROWS; row++) {
            add32(check, ES_ROM_INT32(&block->bias[row]));
        }
        for (row = 0; row < ES_BLOCK_ROWS; row++) {
            add16(check, (uint16_t)ES_ROM_INT16(&block->multiplier[row]));
        }
        break;
    }
    }
}

static void add_sizes(es_check_t *check)
{
    const es_model_t *const model = check->constants->model;
    const uint16_t numbers[] = {
        model->num_channels,     model->num_classes,    model->num_layers,    model->window_length,
        model->label_every_step, model->carry,          model->gravity_shift, model->memory_words,
        model->memory_bits,      model->feature_words,  model->state_words,   model->scratch_words,
        model->pool_words,       model->head_quads,     model->num_reciprocals,
        model->decision_words,
    };
    add16s(check, numbers, sizeof numbers / sizeof numbers[0]);
    if (model->companding != 0u) {
        add16(check, model->companding);
    }
    if (model->num_magnitudes != 0u) {
        add16(check, model->num_magnitudes);
    }
    if (model->chain != NULL) {
        add16(check, model->chain->num_dense);
        add16(check, model->chain->dense_words);
        add16(check, model->chain->num_front);
        add16(check, model->chain->front_words);
        add16(check, model->chain->num_behind);
        if (model->chain->both != NULL) {
            add16(check, model->chain->both->streamed);
            add16(check, model->chain->both->steps);
            add16(check, model->chain->both->kept_words);
            add16(check, model->chain->both->backward);
        }
    }
    add16(check, check->constants->num_arrays);
}

static void add_list(es_check_t *check)
{
    const es_constants_t *const constants = check->constants;
    unsigned index;
    add16s(check, constants->label_bytes, constants->model->num_classes);
    for (index = 0; index < constants->num_arrays; index++) {
        add(check, constants->arrays[index].count, 4);
        add16(check, constants->arrays[index].element);
    }
}

static void add_layer(es_check_t *check, const es_layer_t *layer)
{
    const uint16_t numbers[] = {
        layer->hidden_size, layer->wide_pairs,     layer->below_quads, layer->own_quads,
        layer->state_words, layer->cell_frac_bits, layer->wide_alone,
    };
    add16s(check, numbers, sizeof numbers / sizeof numbers[0]);
}

static void add_front(es_check_t *check, const es_front_t *front)
{
    const uint16_t numbers[] = {
        front->units, front->inputs,   front->in_words, front->out_words, front->slots,
        front->taps,  front->dilation, front->stride,   front->first,     front->reciprocal,
        front->after,
    };
    unsigned index;
    add16s(check, numbers, sizeof numbers / sizeof numbers[0]);
    /* The first layer has it, of features. Their number was compared before, in_words not yet. */
    for (index = 0; front->pad != NULL && index < check->constants->model->feature_words; index++) {
        add16(check, (uint16_t)front->pad[index]);
    }
}

static void add_settings(es_check_t *check, const es_model_t *model)
{
    unsigned index;
    if (model->decision != NULL) {
        add32(check, model->decision->hysteresis);
        add32(check, model->decision->unknown_margin);
        add16(check, model->decision->smoothing_shift);
        add16(check, model->decision->min_labels);
    }
    add16s(check, model->input_shift, model->num_channels);
    if (model->num_magnitudes != 0u) { /* those were zeros; the shifts and the axes follow */
        add16s(check, model->input_shift + model->num_channels,
               (size_t)es_num_features(model) + 3u * (size_t)model->num_magnitudes);
    }
    for (index = 0; index < ES_HASH_BYTES; index++) {
        add(check, model->hash[index], 1);
    }
}

/* Adds the next piece of the numbers: a layer, the settings, or a label. Returns 1 after the last one. */
static int add_numbers(es_check_t *check)
{
    const es_model_t *const model = check->constants->model;
    const uint32_t index = check->at;
    const uint32_t recurrent = es_num_layers(model);
    const uint32_t dense = recurrent + (model->chain != NULL ? model->chain->num_dense : 0u);
    const uint32_t layers = dense + (model->chain != NULL ? model->chain->num_front : 0u);
    if (index < recurrent) {
        add_layer(check, &model->layers[index]);
    } else if (index < dense) {
        add_layer(check, &model->chain->dense[index - recurrent]);
    } else if (index < layers) {
        add_front(check, &model->chain->front[index - dense]);
    } else if (index == layers) {
        add_settings(check, model);
    } else {
        const uint32_t label = index - layers - 1u;
        add_text(check, model->labels[label], check->constants->label_bytes[label]);
    }
    return index == layers + model->num_classes ? 1 : 0;
}

static void begin_part(es_check_t *check, unsigned part)
{
    check->part = (uint16_t)part;
    check->at = 0;
}

/* Ends a checksum. Returns 1 if it is the expected one. */
static int agrees(es_check_t *check, uint32_t expected)
{
    const uint32_t found = es_crc_end(check->crc);
    check->crc = ES_CRC_START;
    return found == expected ? 1 : 0;
}

/* Adds one piece. Returns ES_OK, ES_CHECK_DONE after the last piece, or ES_ERROR_SELF_TEST. */
static es_status_t add_piece(es_check_t *check)
{
    const es_constants_t *const constants = check->constants;
    const es_array_t *array;
    es_array_t table;
    int holds = 1;

    switch (check->part) {
    case SIZES:
        add_sizes(check);
        holds = constants->model->abi == ES_ABI ? agrees(check, constants->sizes_crc) : 0;
        begin_part(check, LIST);
        break;
    case LIST:
        add_list(check);
        holds = agrees(check, constants->list_crc);
        begin_part(check, TABLE);
        break;
    case TABLE:
        table.values = ES_TABLE_IN_USE;
        table.count = ES_TABLE_WORDS;
        table.element = ES_INT32;
        add_element(check, &table, check->at);
        check->at++;
        if (check->at == table.count) {
            holds = agrees(check, ES_ROM_UINT32(&ES_TABLE_IN_USE_CRC));
            begin_part(check, NUMBERS);
        }
        break;
    case NUMBERS:
        if (add_numbers(check) != 0) {
            begin_part(check, ARRAYS);
        } else {
            check->at++;
        }
        break;
    default:
        array = &constants->arrays[check->part - ARRAYS];
        add_element(check, array, check->at);
        check->at++;
        if (check->at == array->count) {
            begin_part(check, check->part + 1u);
        }
        break;
    }
    if (holds == 0) {
        return ES_ERROR_SELF_TEST;
    }
    if (check->part == ARRAYS + constants->num_arrays) {
        return agrees(check, constants->crc) != 0 ? ES_CHECK_DONE : ES_ERROR_SELF_TEST;
    }
    return ES_OK;
}

es_status_t es_check_begin(es_check_t *check, const es_constants_t *constants)
{
    if (check == NULL || constants == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    check->constants = constants;
    check->crc = ES_CRC_START;
    check->bytes = 0;
    begin_part(check, SIZES);
    return ES_OK;
}

es_status_t es_check_constants(es_check_t *check, size_t bytes)
{
    es_status_t status;
    if (check == NULL || check->constants == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    check->bytes = 0;
    do {
        status = add_piece(check);
    } while (status == ES_OK && check->bytes < bytes);
    if (status != ES_OK) {
        (void)es_check_begin(check, check->constants);
    }
    return status;
}
