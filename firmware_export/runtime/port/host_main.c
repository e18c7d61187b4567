/* Runs exported models on a host, for comparison with the reference.
 *
 *     program MODEL STEPS < counts > values
 *
 * MODEL is an index into es_host_models; the context is reset after every STEPS samples. stdin: int16 counts, low
 * byte first. stdout: the model's hash (32 bytes), the number of words per step, then that many int32 words for
 * each step, low byte first, as in es_words.h. */
#include <stdio.h>
#include <stdlib.h>

#include "edge_seq.h"
#include "es_words.h"

extern const es_model_t *const es_host_models[];
extern const unsigned es_host_num_models;

static void put_word(unsigned char *at, int32_t value)
{
    const uint32_t bits = (uint32_t)value;
    at[0] = (unsigned char)(bits & 0xFFu);
    at[1] = (unsigned char)((bits >> 8) & 0xFFu);
    at[2] = (unsigned char)((bits >> 16) & 0xFFu);
    at[3] = (unsigned char)((bits >> 24) & 0xFFu);
}

/* Reads counts int16 [C]; returns 0 at the end of the input. */
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

static int run_steps(es_context_t *context, size_t steps, int32_t *row, size_t row_words, unsigned char *bytes)
{
    int16_t counts[64]; /* C <= 64 */
    size_t step = 0;
    while (read_counts(context->model, counts)) {
        int label_due;
        size_t word;
        if (step == steps) {
            es_reset(context);
            step = 0;
        }
        es_words_begin(context->model, row);
        label_due = es_step(context, counts) == ES_LABEL_READY;
        step++;
        es_words_put(context, label_due, row);
        for (word = 0; word < row_words; word++) {
            put_word(bytes + 4 * word, row[word]);
        }
        if (fwrite(bytes, 4, row_words, stdout) != row_words) {
            fprintf(stderr, "cannot write\n");
            return 1;
        }
    }
    return fflush(stdout) != 0;
}

/* memory [es_context_bytes], row [row_words], bytes [4 * row_words] */
static int run_model(const es_model_t *model, size_t steps, void *memory, int32_t *row, unsigned char *bytes)
{
    const size_t row_words = es_words_count(model);
    es_context_t *context;
    unsigned char word[4];
    const es_status_t status = es_init(model, memory, es_context_bytes(model), &context);

    if (status != ES_OK) {
        fprintf(stderr, "es_init: %s\n", es_status_text(status));
        return 1;
    }
    put_word(word, (int32_t)row_words);
    fwrite(model->hash, 1, ES_HASH_BYTES, stdout);
    fwrite(word, 1, sizeof word, stdout);
    return run_steps(context, steps, row, row_words, bytes);
}

int main(int argc, char **argv)
{
    const unsigned long index = argc == 3 ? strtoul(argv[1], NULL, 10) : es_host_num_models;
    const unsigned long steps = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    const es_model_t *model;
    size_t row_words;
    void *memory;
    int32_t *row;
    unsigned char *bytes;
    int result = 1;

    if (index >= es_host_num_models || steps == 0) {
        fprintf(stderr, "usage: program MODEL STEPS, MODEL below %u, STEPS at least 1\n", es_host_num_models);
        return 2;
    }
    model = es_host_models[index];
    row_words = es_words_count(model);
    memory = malloc(es_context_bytes(model));
    row = (int32_t *)calloc(row_words, sizeof *row);
    bytes = (unsigned char *)malloc(4 * row_words);
    if (memory != NULL && row != NULL && bytes != NULL) {
        result = run_model(model, steps, memory, row, bytes);
    } else {
        fprintf(stderr, "no memory\n");
    }
    free(memory);
    free(row);
    free(bytes);
    return result;
}
