/* Runs exported models on a host, for comparison with the reference.
 *
 *     program MODEL STEPS < counts > values
 *
 * MODEL is an index into es_host_models; after each STEPS samples the context is reset. stdin: int16 counts, low byte
 * first. stdout: the model's hash (32 bytes), the number of words a step, then for each step that many int32 words, low
 * byte first: features, states as they lie in memory, pooled operands, logits, label. Where no label is due, pooled
 * operands and logits are 0 and the label is -1. Built with ES_TRACE, four pre-activations a unit follow, layer by layer,
 * gate by gate. */
#include <stdio.h>
#include <stdlib.h>

#include "edge_seq.h"
#include "es_trace.h"

extern const es_model_t *const es_host_models[];
extern const unsigned es_host_num_models;

#define GATES 4u

static void put_word(unsigned char *at, int32_t value)
{
    const uint32_t bits = (uint32_t)value;
    at[0] = (unsigned char)(bits & 0xFFu);
    at[1] = (unsigned char)((bits >> 8) & 0xFFu);
    at[2] = (unsigned char)((bits >> 16) & 0xFFu);
    at[3] = (unsigned char)((bits >> 24) & 0xFFu);
}

static unsigned char *put_words16(unsigned char *at, const int16_t *words, size_t count, int shown)
{
    for (; count > 0; count--) {
        put_word(at, shown ? *words : 0);
        words++;
        at += 4;
    }
    return at;
}

#ifdef ES_TRACE
/* The traced words of the step that runs, and the layers they belong to; a hook has no other way to know. */
static unsigned char *trace_words;
static const es_model_t *trace_model;

void es_trace_gate(const es_layer_t *layer, unsigned gate, unsigned unit, int32_t value)
{
    const es_layer_t *other;
    size_t word = 0;
    for (other = trace_model->layers; other < layer; other++) {
        word += (size_t)GATES * other->hidden_size;
    }
    put_word(trace_words + 4 * (word + (size_t)gate * layer->hidden_size + unit), value);
}

static size_t traced_words(const es_model_t *model)
{
    size_t words = 0;
    unsigned index;
    for (index = 0; index < model->num_layers; index++) {
        words += (size_t)GATES * model->layers[index].hidden_size;
    }
    return words;
}
#else
static size_t traced_words(const es_model_t *model)
{
    (void)model;
    return 0;
}
#endif

static size_t plain_words(const es_model_t *model)
{
    return (size_t)model->num_channels + model->state_words + model->pool_words + model->num_classes + 1u;
}

/* counts int16 [C]; 0 at the end of the input */
static int read_counts(const es_model_t *model, int16_t *counts)
{
    unsigned channel;
    for (channel = 0; channel < model->num_channels; channel++) {
        const int low = getchar();
        const int high = getchar();
        if (low == EOF || high == EOF) {
            return 0;
        }
        counts[channel] = (int16_t)((((long)high << 8 | low) ^ 0x8000L) - 0x8000L);
    }
    return 1;
}

static void put_step(const es_context_t *context, int label_due, unsigned char *row)
{
    const es_model_t *const model = context->model;
    unsigned index;
    row = put_words16(row, context->features, model->num_channels, 1);
    row = put_words16(row, context->states, model->state_words, 1);
    row = put_words16(row, context->scratch, model->pool_words, label_due);
    for (index = 0; index < model->num_classes; index++) {
        put_word(row, label_due ? es_logits(context)[index] : 0);
        row += 4;
    }
    put_word(row, label_due ? (int32_t)es_label(context) : -1);
}

static int run_steps(es_context_t *context, size_t steps, unsigned char *row, size_t row_bytes)
{
    int16_t counts[64]; /* C <= 64 */
    size_t step = 0;
    while (read_counts(context->model, counts)) {
        int label_due;
        if (step == steps) {
            es_reset(context);
            step = 0;
        }
        label_due = es_step(context, counts) == ES_LABEL_READY;
        step++;
        put_step(context, label_due, row);
        if (fwrite(row, 1, row_bytes, stdout) != row_bytes) {
            fprintf(stderr, "cannot write\n");
            return 1;
        }
    }
    return fflush(stdout) != 0;
}

/* memory [es_context_bytes], row [row_words] of four bytes */
static int run_model(const es_model_t *model, size_t steps, void *memory, unsigned char *row, size_t row_words)
{
    es_context_t *context;
    unsigned char word[4];
    const es_status_t status = es_init(model, memory, es_context_bytes(model), &context);

    if (status != ES_OK) {
        fprintf(stderr, "es_init: %s\n", es_status_text(status));
        return 1;
    }
#ifdef ES_TRACE
    trace_model = model;
    trace_words = row + 4 * plain_words(model);
#endif
    put_word(word, (int32_t)row_words);
    fwrite(model->hash, 1, ES_HASH_BYTES, stdout);
    fwrite(word, 1, sizeof word, stdout);
    return run_steps(context, steps, row, 4 * row_words);
}

int main(int argc, char **argv)
{
    const unsigned long index = argc == 3 ? strtoul(argv[1], NULL, 10) : es_host_num_models;
    const unsigned long steps = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    const es_model_t *model;
    size_t row_words;
    void *memory;
    unsigned char *row;
    int result = 1;

    if (index >= es_host_num_models || steps == 0) {
        fprintf(stderr, "usage: program MODEL STEPS, MODEL below %u, STEPS at least 1\n", es_host_num_models);
        return 2;
    }
    model = es_host_models[index];
    row_words = plain_words(model) + traced_words(model);
    memory = malloc(es_context_bytes(model));
    row = (unsigned char *)calloc(row_words, 4);
    if (memory != NULL && row != NULL) {
        result = run_model(model, steps, memory, row, row_words);
    } else {
        fprintf(stderr, "no memory\n");
    }
    free(memory);
    free(row);
    return result;
}
