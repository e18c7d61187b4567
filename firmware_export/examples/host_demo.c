/* Reads raw counts from stdin, one sample per line, and prints a label whenever one is due.
 * Build it with car.c, car_golden.c and the files in runtime/src, with -I runtime/include. */
#include <stdio.h>

#include "car.h"
#include "car_golden.h"

static int read_counts(int16_t *counts)
{
    unsigned channel;
    for (channel = 0; channel < CAR_NUM_CHANNELS; channel++) {
        int count;
        if (scanf("%d", &count) != 1) {
            return 0;
        }
        counts[channel] = (int16_t)count;
    }
    return 1;
}

int main(void)
{
    static car_memory_t memory; /* all memory that the model needs; nothing is allocated */
    int16_t counts[CAR_NUM_CHANNELS];
    es_context_t *context;

    if (es_self_test(&car_golden, &memory, sizeof memory, NULL) != ES_OK ||
        es_init(&car_model, &memory, sizeof memory, &context) != ES_OK) {
        fputs("this build does not compute what the reference computes\n", stderr);
        return 1;
    }
    while (read_counts(counts)) {
        if (es_step(context, counts) == ES_LABEL_READY) {
            puts(es_label_text(&car_model, es_label(context)));
        }
    }
    return 0;
}
