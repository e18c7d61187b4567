#include "edge_seq.h"

/* Compares the latest label and logits with the golden ones. logits [K] */
static int label_agrees(const es_context_t *context, const ES_ROM int32_t *logits, uint16_t label)
{
    unsigned class_index;
    for (class_index = 0; class_index < context->model->num_classes; class_index++) {
        if (es_logits(context)[class_index] != ES_ROM_INT32(logits + class_index)) {
            return 0;
        }
    }
    return es_label(context) == label;
}

int es_golden_sample(const es_golden_t *golden, uint16_t window, uint16_t step, int16_t *counts)
{
    const size_t num_channels = golden->model->num_channels;
    const ES_ROM int16_t *from;
    size_t channel;

    if (window >= golden->num_windows || step >= golden->num_steps) {
        return 0;
    }
    from = golden->counts + ((size_t)window * golden->num_steps + step) * num_channels;
    for (channel = 0; channel < num_channels; channel++) {
        counts[channel] = ES_ROM_INT16(from + channel);
    }
    return 1;
}

/* Runs one step of a window and compares it. `labels_seen` counts the labels of the window. */
static int step_agrees(const es_golden_t *golden, es_context_t *context, uint16_t window, uint16_t step,
                       size_t *labels_seen)
{
    const size_t step_index = (size_t)window * golden->num_steps + step;
    int16_t counts[64]; /* C <= 64 */

    (void)es_golden_sample(golden, window, step, counts);
    if (es_step(context, counts) == ES_LABEL_READY) {
        const size_t index = (size_t)window * golden->num_labels + *labels_seen;
        if (*labels_seen >= golden->num_labels ||
            !label_agrees(context, golden->logits + index * golden->model->num_classes,
                          ES_ROM_UINT16(golden->labels + index))) {
            return 0;
        }
        if (golden->decisions != NULL && es_decision(context) != ES_ROM_UINT16(golden->decisions + index)) {
            return 0;
        }
        ++*labels_seen;
    }
    return es_state_crc(context) == ES_ROM_UINT32(golden->state_crc + step_index);
}

/* Reads all constants. Returns 1 if they hold. */
static int constants_hold(const es_constants_t *constants)
{
    es_check_t check;
    es_status_t status = es_check_begin(&check, constants);
    while (status == ES_OK) {
        status = es_check_constants(&check, SIZE_MAX);
    }
    return status == ES_CHECK_DONE ? 1 : 0;
}

static es_status_t fail_at(es_place_t *failed, uint16_t window, uint16_t step)
{
    if (failed != NULL) {
        failed->window = window;
        failed->step = step;
    }
    return ES_ERROR_SELF_TEST;
}

es_status_t es_self_test(const es_golden_t *golden, void *memory, size_t bytes, es_place_t *failed)
{
    es_context_t *context;
    es_status_t status;
    uint16_t window;
    uint16_t step;

    if (golden == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    if (golden->constants == NULL || golden->constants->model != golden->model) {
        return ES_ERROR_MODEL;
    }
    if (constants_hold(golden->constants) == 0) { /* first, as damaged sizes would lead es_init and es_step astray */
        return fail_at(failed, ES_CONSTANTS, 0);
    }
    status = es_init(golden->model, memory, bytes, &context);
    if (status != ES_OK) {
        return status;
    }
    for (window = 0; window < golden->num_windows; window++) {
        size_t labels_seen = 0;
        es_reset(context);
        for (step = 0; step < golden->num_steps; step++) {
            const int agrees = step_agrees(golden, context, window, step, &labels_seen);
            if (!agrees || (step + 1u == golden->num_steps && labels_seen != golden->num_labels)) {
                return fail_at(failed, window, step);
            }
        }
    }
    return ES_OK;
}
