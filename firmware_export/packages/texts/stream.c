/* Reads raw counts from stdin, a sample a line with spaces between its counts, and prints a label whenever one is
 * due. */
#include <stdint.h>
#include <stdio.h>

#include "@model@.h"
#include "@model@_golden.h"

/* Reads a sample. Returns 1, 0 at the end of the input, or -1 if what comes next is not a whole sample. */
static int read_sample(int16_t *counts)
{
    unsigned channel;
    for (channel = 0; channel < @MODEL@_NUM_CHANNELS; channel++) {
        long count;
        if (scanf("%ld", &count) != 1) {
            return channel == 0 && feof(stdin) != 0 ? 0 : -1;
        }
        if (count < INT16_MIN || count > INT16_MAX) {
            return -1;
        }
        counts[channel] = (int16_t)count;
    }
    return 1;
}

int main(void)
{
    static @model@_memory_t memory; /* all the RAM that the model needs */
    int16_t counts[@MODEL@_NUM_CHANNELS];
    es_context_t *context;
    unsigned long samples = 0;
    int found;

    if (es_self_test(&@model@_golden, &memory, sizeof memory, NULL) != ES_OK ||
        es_init(&@model@_model, &memory, sizeof memory, &context) != ES_OK) {
        fputs("this build does not compute what the reference computes\n", stderr);
        return 1;
    }
    while ((found = read_sample(counts)) == 1) {
        samples++;
        if (es_step(context, counts) == ES_LABEL_READY) {
            puts(@answer@);
        }
    }
    if (found < 0) {
        fprintf(stderr, "after %lu samples: expected %u whole numbers from -32768 to 32767, with spaces between them\n",
                samples, (unsigned)@MODEL@_NUM_CHANNELS);
        return 1;
    }
    return 0;
}
