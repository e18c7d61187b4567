/* Checks the public interface with every model in es_cases, a table that the test generates. Prints the failures and
 * returns their number. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static unsigned failures;

#define CHECK(model_index, condition)                                                                        \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("line %d: %s: not so: %s\n", __LINE__, es_cases[model_index].name, #condition);            \
            failures++;                                                                                      \
        }                                                                                                    \
    } while (0)

#define STEPS 40u

/* Results of a run, step by step. */
typedef struct {
    es_status_t status[STEPS];
    uint32_t crc[STEPS];
    uint16_t label[STEPS];
    uint16_t decision[STEPS];
    int32_t logit[STEPS];
} seen_t;

/* The first STEPS samples are golden counts, repeated from the start if needed. */
static const int16_t *counts_at(const case_t *test, unsigned step)
{
    const size_t samples = (size_t)test->golden->num_windows * test->golden->num_steps;
    return test->golden->counts + (step % samples) * test->model->num_channels;
}

static void step_once(const case_t *test, es_context_t *context, unsigned step, seen_t *seen)
{
    seen->status[step] = es_step(context, counts_at(test, step));
    seen->crc[step] = es_state_crc(context);
    seen->label[step] = es_label(context);
    seen->decision[step] = es_decision(context);
    if (test->model->decision == NULL) {
        seen->decision[step] = (uint16_t)(es_decision(context) == es_label(context) ? 0 : 1);
    }
    seen->logit[step] = es_logits(context)[test->model->num_classes - 1u];
}

static int same(const seen_t *a, const seen_t *b, unsigned from)
{
    unsigned step;
    for (step = from; step < STEPS; step++) {
        if (a->status[step] != b->status[step] || a->crc[step] != b->crc[step] || a->label[step] != b->label[step] ||
            a->decision[step] != b->decision[step] || a->logit[step] != b->logit[step]) {
            return 0;
        }
    }
    return 1;
}

static es_context_t *make(const case_t *test, void **memory)
{
    es_context_t *context = NULL;
    *memory = malloc(es_context_bytes(test->model)); /* exactly as much as needed, so that sanitizers find any more */
    if (*memory == NULL || es_init(test->model, *memory, es_context_bytes(test->model), &context) != ES_OK) {
        printf("cannot make a context of %s\n", test->name);
        exit(100);
    }
    return context;
}

static void check_init(unsigned index)
{
    const case_t *const test = &es_cases[index];
    const size_t bytes = es_context_bytes(test->model);
    unsigned char *const memory = (unsigned char *)malloc(bytes + 64);
    es_model_t other = *test->model;
    es_context_t *context = NULL;
    size_t at;

    if (memory == NULL) {
        exit(100);
    }
    CHECK(index, bytes == test->context_bytes);
    CHECK(index, es_state_bytes(test->model) == test->state_bytes);
    CHECK(index, test->memory_bytes >= test->context_bytes);
    CHECK(index, es_init(test->model, memory, bytes, NULL) == ES_ERROR_ARGUMENT);
    CHECK(index, es_init(NULL, memory, bytes, &context) == ES_ERROR_ARGUMENT && context == NULL);
    CHECK(index, es_init(test->model, NULL, bytes, &context) == ES_ERROR_ARGUMENT && context == NULL);
    CHECK(index, es_init(test->model, memory, bytes - 1, &context) == ES_ERROR_SIZE && context == NULL);
    CHECK(index, es_init(test->model, memory + 1, bytes, &context) == ES_ERROR_ALIGNMENT && context == NULL);
    other.abi = ES_ABI + 1u;
    CHECK(index, es_init(&other, memory, bytes, &context) == ES_ERROR_MODEL && context == NULL);

    memset(memory, 0x5A, bytes + 64); /* memory may have any content */
    CHECK(index, es_init(test->model, memory, bytes, &context) == ES_OK && context != NULL);
    CHECK(index, es_label(context) == ES_NO_LABEL);
    for (at = 0; at < STEPS; at++) {
        es_step(context, counts_at(test, (unsigned)at));
    }
    for (at = bytes; at < bytes + 64; at++) {
        CHECK(index, memory[at] == 0x5A);
    }
    free(memory);
}

static void check_reset(unsigned index, const seen_t *alone)
{
    const case_t *const test = &es_cases[index];
    void *memory;
    es_context_t *const context = make(test, &memory);
    seen_t seen;
    unsigned step;

    for (step = 0; step < 3; step++) {
        es_step(context, counts_at(test, step + 1));
    }
    es_reset(context);
    CHECK(index, es_label(context) == ES_NO_LABEL && es_logits(context)[0] == 0);
    CHECK(index, es_decision(context) == ES_NO_LABEL);
    for (step = 0; step < STEPS; step++) {
        step_once(test, context, step, &seen);
    }
    CHECK(index, same(&seen, alone, 0));
    free(memory);
}

static void run_alone(unsigned index, seen_t *seen)
{
    void *memory;
    es_context_t *const context = make(&es_cases[index], &memory);
    unsigned step;
    for (step = 0; step < STEPS; step++) {
        step_once(&es_cases[index], context, step, seen);
    }
    free(memory);
}

/* Two contexts of one model, the second some steps behind, and one of another model between them. */
static void check_interleaved(unsigned index, const seen_t *alone)
{
    const unsigned other = (index + 1) % es_num_cases;
    void *memory[3];
    es_context_t *const first = make(&es_cases[index], &memory[0]);
    es_context_t *const second = make(&es_cases[index], &memory[1]);
    es_context_t *const third = make(&es_cases[other], &memory[2]);
    seen_t seen_first, seen_second, seen_third;
    unsigned step;

    for (step = 0; step < STEPS + 5; step++) {
        if (step < STEPS) {
            step_once(&es_cases[index], first, step, &seen_first);
            step_once(&es_cases[other], third, step, &seen_third);
        }
        if (step >= 5) {
            step_once(&es_cases[index], second, step - 5, &seen_second);
        }
    }
    CHECK(index, same(&seen_first, &alone[index], 0));
    CHECK(index, same(&seen_second, &alone[index], 0));
    CHECK(other, same(&seen_third, &alone[other], 0));
    free(memory[0]);
    free(memory[1]);
    free(memory[2]);
}

/* Saves after each of the first steps, restores into a context with another state, and continues. */
static void check_save_restore(unsigned index, const seen_t *alone)
{
    const case_t *const test = &es_cases[index];
    const size_t size = es_state_bytes(test->model);
    uint8_t *const saved = (uint8_t *)malloc(size);
    void *memory[2];
    es_context_t *const context = make(test, &memory[0]);
    es_context_t *const other = make(test, &memory[1]);
    unsigned cut, step;

    if (saved == NULL) {
        exit(100);
    }
    CHECK(index, es_state_save(NULL, saved, size) == ES_ERROR_ARGUMENT);
    CHECK(index, es_state_save(context, NULL, size) == ES_ERROR_ARGUMENT);
    CHECK(index, es_state_save(context, saved, size - 1) == ES_ERROR_SIZE);
    CHECK(index, es_state_restore(NULL, saved, size) == ES_ERROR_ARGUMENT);
    CHECK(index, es_state_restore(context, NULL, size) == ES_ERROR_ARGUMENT);
    CHECK(index, es_state_restore(context, saved, size - 1) == ES_ERROR_SIZE);
    for (cut = 0; cut < 20; cut++) {
        seen_t seen = *alone;
        CHECK(index, es_state_save(context, saved, size) == ES_OK);
        CHECK(index, es_state_restore(other, saved, size) == ES_OK);
        CHECK(index, es_label(other) == ES_NO_LABEL);
        for (step = cut; step < STEPS; step++) {
            step_once(test, other, step, &seen);
            if (seen.label[step] == ES_NO_LABEL) { /* the latest label is not part of a saved state */
                seen.label[step] = alone->label[step];
                seen.logit[step] = alone->logit[step];
            }
        }
        CHECK(index, same(&seen, alone, cut));
        es_step(context, counts_at(test, cut));
    }
    free(saved);
    free(memory[0]);
    free(memory[1]);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0; size--, bytes++) {
        unsigned bit;
        crc ^= *bytes;
        for (bit = 0; bit < 8; bit++) {
            crc = (crc & 1u) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }
    }
    return ~crc;
}

static void put(uint8_t *at, uint32_t value, unsigned bytes)
{
    for (; bytes > 0; bytes--) {
        *at++ = (uint8_t)(value & 0xFFu);
        value >>= 8;
    }
}

/* Restores `bad` with a correct checksum; true if it was refused and the context is unchanged. */
static int refused(const case_t *test, es_context_t *context, uint8_t *bad)
{
    const size_t size = es_state_bytes(test->model);
    const uint32_t crc = es_state_crc(context);
    const uint16_t step = context->step_in_window;
    put(bad + size - 4, crc32_of(bad, size - 4), 4);
    return es_state_restore(context, bad, size) == ES_ERROR_STATE && es_state_crc(context) == crc &&
           context->step_in_window == step;
}

static void check_bad_states(unsigned index)
{
    const case_t *const test = &es_cases[index];
    const es_model_t *const model = test->model;
    const size_t size = es_state_bytes(model);
    const size_t pool_at = 12u + 4u * (size_t)model->memory_words;
    const size_t stage_at = pool_at + 4u * (size_t)model->pool_words;
    const size_t codes_at = stage_at + 4u * (size_t)model->num_classes;
    const size_t front_at = stage_at + 4u * (size_t)model->decision_words;
    const size_t kept_at = front_at + (model->chain != NULL ? 2u * (size_t)model->chain->front_words : 0u);
    const es_both_t *const both = model->chain != NULL ? model->chain->both : NULL;
    const size_t states_at = kept_at + (both != NULL ? 2u * (size_t)both->kept_words : 0u);
    uint8_t *const good = (uint8_t *)malloc(size);
    uint8_t *const bad = (uint8_t *)malloc(size);
    void *memory;
    es_context_t *const context = make(test, &memory);
    size_t at;
    unsigned step;

    if (good == NULL || bad == NULL) {
        exit(100);
    }
    for (step = 0; step < 4; step++) {
        es_step(context, counts_at(test, step));
    }
    es_state_save(context, good, size);
    es_step(context, counts_at(test, 5));

#define WITH(change)                       \
    memcpy(bad, good, size);               \
    change;                                \
    CHECK(index, refused(test, context, bad))

    for (at = 0; at < size; at++) { /* any damaged byte, with the old checksum */
        memcpy(bad, good, size);
        bad[at] ^= 0x40u;
        CHECK(index, es_state_restore(context, bad, size) == ES_ERROR_STATE);
    }
    WITH(bad[0] ^= 1u);
    WITH(put(bad + 8, model->window_length + 1u, 2));
    WITH(put(bad + 10, 2, 2));
    if (model->memory_words) {
        WITH(put(bad + 12, (uint32_t)1 << model->memory_bits, 4));
        WITH(put(bad + 12, 0u - ((uint32_t)1 << model->memory_bits) - 1u, 4));
    }
    if (model->chain != NULL && model->chain->flatten_add != NULL) { /* a sum of results beyond 2^30 */
        WITH(put(bad + pool_at, 0x40000001u, 4));
        WITH(put(bad + pool_at, 0u - 0x40000001u, 4));
    } else if (model->pool_words) { /* a sum beyond that of step operands, -32768 .. 32767 */
        const unsigned units = 4u * model->layers[es_num_layers(model) - 1u].own_quads;
        const uint32_t steps = good[8] + 256u * good[9];
        WITH(put(bad + pool_at, 32767u * steps + 1u, 4));
        WITH(put(bad + pool_at, 0u - 32768u * steps - 1u, 4));
        if (model->pool_words > units || model->num_reciprocals == 0u) { /* the largest operand of the first unit */
            WITH(put(bad + stage_at - 4u * units, 32768u, 4));
            WITH(put(bad + stage_at - 4u * units, 0u - 32769u, 4));
        }
        if (model->layers[es_num_layers(model) - 1u].hidden_size % 4 != 0) {
            WITH(put(bad + stage_at - 4, 1, 4)); /* padding */
        }
    }
    if (model->decision != NULL) {
        WITH(put(bad + stage_at, 1, 4));
        WITH(put(bad + stage_at, 0u - 524289u, 4));
        WITH(put(bad + codes_at, model->num_classes + 1u, 4));
        WITH(put(bad + codes_at, 0u - 1u, 4));
        WITH(put(bad + codes_at + 4, model->num_classes + 1u, 4));
        WITH(put(bad + codes_at + 8, model->decision->min_labels, 4));
        WITH(put(bad + codes_at + 12, 2, 4));
        if (model->decision->distance != NULL) {
            WITH(put(bad + codes_at + 16, 262145u, 4));
            WITH(put(bad + codes_at + 16, 0u - 262145u, 4));
        }
    }
    if (both != NULL) {
        const es_layer_t *const first = &model->layers[both->streamed];
        if (first->below_quads == 0u && model->feature_words > model->num_channels) {
            WITH(put(bad + kept_at + 2u * model->num_channels, 1, 2)); /* padding of features */
        }
        if (first->below_quads != 0u) {
            WITH(put(bad + kept_at + 4u, 129, 2)); /* a coarse operand */
        }
        if (model->layers[es_num_layers(model) - 1u].below_quads != 0u) { /* a coarse operand of the last kept input */
            WITH(put(bad + states_at - 8u * model->layers[es_num_layers(model) - 1u].below_quads + 4u, 129, 2));
        }
    }
    if (kept_at > front_at) { /* the first front layer's ring and output */
        const es_front_t *const front = model->chain->front;
        const size_t output_at = front_at + 2u * (size_t)front->slots * front->in_words;
        if (front->in_words > front->inputs) {
            WITH(put(bad + output_at - 2u, 1, 2)); /* padding of features */
        }
        WITH(put(bad + output_at + 4, 129, 2));
        if (front->out_words > front->units) {
            WITH(put(bad + output_at + 2u * front->units, 1, 2));
        }
    }
    if (model->layers[0].hidden_size > 2) { /* unit 2 is coarse */
        WITH(put(bad + states_at + 4, 129, 2));
        WITH(put(bad + states_at + 4, 0xFFFFu - 128u, 2)); /* -129 */
        memcpy(bad, good, size);
        put(bad + states_at + 4, 0x10000u - 128u, 2); /* -128 is allowed */
        put(bad + size - 4, crc32_of(bad, size - 4), 4);
        CHECK(index, es_state_restore(context, bad, size) == ES_OK);
    }
    if (model->layers[0].hidden_size % 4 != 0) { /* padding of the operands, and of what follows them */
        WITH(put(bad + states_at + 2u * model->layers[0].hidden_size, 1, 2));
        if (model->layers[0].state_words > 4u * model->layers[0].own_quads) {
            WITH(put(bad + states_at + 2u * (4u * model->layers[0].own_quads + model->layers[0].hidden_size), 1, 2));
        }
    }
    free(good);
    free(bad);
    free(memory);
}

/* A copy of an array of golden vectors with its last element changed. */
static void *with_last_changed(const void *values, size_t count, size_t bytes)
{
    unsigned char *const copy = (unsigned char *)malloc(count * bytes);
    if (copy == NULL) {
        exit(100);
    }
    memcpy(copy, values, count * bytes);
    copy[(count - 1) * bytes] ^= 1u;
    return copy;
}

static void check_self_test(unsigned index)
{
    const case_t *const test = &es_cases[index];
    const size_t bytes = es_context_bytes(test->model);
    void *const memory = malloc(bytes);
    const es_golden_t right = *test->golden;
    const size_t steps = (size_t)right.num_windows * right.num_steps;
    const size_t labels = (size_t)right.num_windows * right.num_labels;
    uint32_t *const crc = (uint32_t *)with_last_changed(right.state_crc, steps, sizeof *crc);
    uint16_t *const label = (uint16_t *)with_last_changed(right.labels, labels, sizeof *label);
    int32_t *const logit = (int32_t *)with_last_changed(right.logits, labels * test->model->num_classes, sizeof *logit);
    uint16_t *decision = NULL;
    es_golden_t golden = right;
    es_place_t place = {7, 7};

    if (memory == NULL) {
        exit(100);
    }
    CHECK(index, es_self_test(&right, memory, bytes, &place) == ES_OK);
    CHECK(index, es_self_test(&right, memory, bytes, NULL) == ES_OK);
    CHECK(index, place.window == 7 && place.step == 7);
    CHECK(index, es_self_test(NULL, memory, bytes, NULL) == ES_ERROR_ARGUMENT);
    CHECK(index, es_self_test(&right, memory, bytes - 1, NULL) == ES_ERROR_SIZE);

    golden.state_crc = crc;
    CHECK(index, es_self_test(&golden, memory, bytes, &place) == ES_ERROR_SELF_TEST);
    CHECK(index, place.window == right.num_windows - 1 && place.step == right.num_steps - 1);
    golden = right;
    golden.labels = label;
    CHECK(index, es_self_test(&golden, memory, bytes, &place) == ES_ERROR_SELF_TEST);
    CHECK(index, place.window == right.num_windows - 1);
    golden = right;
    golden.logits = logit;
    CHECK(index, es_self_test(&golden, memory, bytes, &place) == ES_ERROR_SELF_TEST);
    CHECK(index, place.window == right.num_windows - 1);
    CHECK(index, (right.decisions != NULL) == (test->model->decision != NULL));
    if (right.decisions != NULL) {
        decision = (uint16_t *)with_last_changed(right.decisions, labels, sizeof *decision);
        golden = right;
        golden.decisions = decision;
        CHECK(index, es_self_test(&golden, memory, bytes, &place) == ES_ERROR_SELF_TEST);
        CHECK(index, place.window == right.num_windows - 1);
    }
    golden = right;
    golden.num_labels = (uint16_t)(golden.num_labels + 1u);
    CHECK(index, es_self_test(&golden, memory, bytes, NULL) == ES_ERROR_SELF_TEST);
    golden.num_labels = (uint16_t)(golden.num_labels - 2u);
    CHECK(index, es_self_test(&golden, memory, bytes, NULL) == ES_ERROR_SELF_TEST);
    free(crc);
    free(label);
    free(decision);
    free(logit);
    free(memory);
}

/* A round in slices of so many bytes; returns its end, and counts the calls. */
static es_status_t check_in_slices(const es_constants_t *constants, size_t bytes, unsigned *calls)
{
    es_check_t check;
    es_status_t status = es_check_begin(&check, constants);
    *calls = 0;
    while (status == ES_OK) {
        status = es_check_constants(&check, bytes);
        ++*calls;
    }
    return status;
}

static void check_constants(unsigned index)
{
    const case_t *const test = &es_cases[index];
    const es_constants_t right = *test->golden->constants;
    const size_t bytes = es_context_bytes(test->model);
    void *const memory = malloc(bytes);
    es_constants_t constants = right;
    es_golden_t golden = *test->golden;
    es_place_t place = {7, 7};
    es_model_t model = *test->model;
    es_check_t check;
    unsigned whole;
    unsigned slices;
    unsigned pieces;

    if (memory == NULL) {
        exit(100);
    }
    CHECK(index, check_in_slices(&right, SIZE_MAX, &whole) == ES_CHECK_DONE && whole == 1);
    CHECK(index, check_in_slices(&right, 300, &slices) == ES_CHECK_DONE && slices > 3);
    CHECK(index, check_in_slices(&right, 0, &pieces) == ES_CHECK_DONE && pieces > slices);

    CHECK(index, es_check_begin(&check, NULL) == ES_ERROR_ARGUMENT);
    CHECK(index, es_check_begin(NULL, &right) == ES_ERROR_ARGUMENT);
    CHECK(index, es_check_constants(NULL, 1) == ES_ERROR_ARGUMENT);
    CHECK(index, es_check_begin(&check, &right) == ES_OK);
    CHECK(index, es_check_constants(&check, SIZE_MAX) == ES_CHECK_DONE); /* the next call begins a new round */
    CHECK(index, es_check_constants(&check, SIZE_MAX) == ES_CHECK_DONE);
    check.constants = NULL;
    CHECK(index, es_check_constants(&check, 1) == ES_ERROR_ARGUMENT);

    constants.crc ^= 1u;
    CHECK(index, check_in_slices(&constants, SIZE_MAX, &whole) == ES_ERROR_SELF_TEST);
    CHECK(index, check_in_slices(&constants, 300, &whole) == ES_ERROR_SELF_TEST && whole == slices);
    golden.constants = &constants;
    CHECK(index, es_self_test(&golden, memory, bytes, NULL) == ES_ERROR_SELF_TEST);
    CHECK(index, es_self_test(&golden, memory, bytes, &place) == ES_ERROR_SELF_TEST);
    CHECK(index, place.window == ES_CONSTANTS && place.step == 0);
    constants = right;
    constants.list_crc ^= 1u;
    CHECK(index, check_in_slices(&constants, SIZE_MAX, &whole) == ES_ERROR_SELF_TEST);
    constants = right;
    model.window_length ^= 1u;
    constants.model = &model;
    CHECK(index, check_in_slices(&constants, SIZE_MAX, &whole) == ES_ERROR_SELF_TEST);
    CHECK(index, es_self_test(&golden, memory, bytes, NULL) == ES_ERROR_MODEL); /* constants of another model */
    golden.constants = NULL; /* as in an export of before there were checksums */
    CHECK(index, es_self_test(&golden, memory, bytes, NULL) == ES_ERROR_MODEL);
    free(memory);
}

static void check_texts(unsigned index)
{
    const es_model_t *const model = es_cases[index].model;
    int status;
    CHECK(index, strcmp(es_label_text(model, 0), "class 0") == 0);
    CHECK(index, strcmp(es_label_text(model, model->num_classes), "") == 0);
    CHECK(index, strcmp(es_label_text(model, ES_NO_LABEL), "") == 0);
    for (status = ES_OK; status <= ES_ERROR_FLASH; status++) {
        CHECK(index, strlen(es_status_text((es_status_t)status)) > 1);
        CHECK(index, strcmp(es_status_text((es_status_t)status), "unknown status") != 0);
    }
    CHECK(index, strcmp(es_status_text((es_status_t)(ES_ERROR_FLASH + 1)), "unknown status") == 0);
}

int main(void)
{
    seen_t *const alone = (seen_t *)malloc(es_num_cases * sizeof *alone);
    unsigned index;

    if (alone == NULL) {
        return 100;
    }
    for (index = 0; index < es_num_cases; index++) {
        run_alone(index, &alone[index]);
    }
    for (index = 0; index < es_num_cases; index++) {
        check_init(index);
        check_reset(index, &alone[index]);
        check_interleaved(index, alone);
        check_save_restore(index, &alone[index]);
        check_bad_states(index);
        check_self_test(index);
        check_constants(index);
        check_texts(index);
    }
    free(alone);
    printf("%u models, %u failures\n", es_num_cases, failures);
    return failures ? 1 : 0;
}
