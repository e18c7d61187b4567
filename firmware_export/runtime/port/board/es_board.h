/* Shared by the emulated boards: a model, buffers, and a sensor that plays a recording in a loop.
 * firmware_export/running/board.py generates the file that defines them. */
#ifndef ES_BOARD_H
#define ES_BOARD_H

#include "es_adapt.h"
#include "es_wire.h"

/* Samples that the sensor keeps until they are read, as many as the sensors with the largest FIFO; older ones are
 * lost. */
#define ES_BOARD_FIFO 1024u

typedef struct es_board_recording {
    const int16_t *counts; /* [samples, C] */
    uint32_t samples;
    uint32_t rate_millihz;
    uint32_t num_channels;
} es_board_recording_t;

extern const es_wire_setup_t es_board_setup; /* complete except for the port */
extern const es_board_recording_t es_board_recording;

/* Memory for a head that learns. */
#define ES_BOARD_EXAMPLES 20u
#define ES_BOARD_LEARNING_BYTES 8192u /* as many examples as fit, for a head that sees more than 380 values */

typedef struct es_board_learning {
    void *memory; /* [ES_BOARD_LEARNING_BYTES], aligned to an es_adapt_t */
    uint8_t *saved; /* [ES_BOARD_LEARNING_BYTES] */
} es_board_learning_t;

extern const es_board_learning_t es_board_learning;

/* What the wire of a board points to. */
typedef struct es_board_head {
    es_wire_setup_t setup;
    es_adapt_wire_t learns;
    es_wire_adapt_t port;
} es_board_head_t;

/* Starts the wire with a head that learns, which has learned nothing. Its model is refused if it sees too many values;
 * then the board has none. */
static es_status_t es_board_begin(es_wire_t *wire, const es_wire_setup_t *setup, es_board_head_t *head)
{
    const size_t wanted = ES_ADAPT_BYTES(ES_BOARD_EXAMPLES, es_adapt_values(setup->model));
    const size_t bytes = wanted < ES_BOARD_LEARNING_BYTES ? wanted : ES_BOARD_LEARNING_BYTES;
    head->setup = *setup;
    if (es_adapt_init(setup->model, es_board_learning.memory, bytes, &head->learns.adapt) == ES_OK) {
        head->learns.saved = es_board_learning.saved;
        head->port.adapt = &head->learns;
        head->port.serve = es_adapt_serve;
        head->setup.model = es_adapt_model(head->learns.adapt);
        head->setup.adapt = &head->port;
    }
    return es_wire_init(wire, &head->setup);
}

/* Reads one sample of the recording. `given` samples have come since the start; `taken` of them were read or lost. */
static int es_board_sample(uint32_t given, uint32_t *taken, int16_t *counts, uint32_t *index)
{
    const int16_t *sample;
    uint32_t channel;
    if (given - *taken > ES_BOARD_FIFO) {
        *taken = given - ES_BOARD_FIFO;
    }
    if (given == *taken) {
        return 0;
    }
    sample = es_board_recording.counts + (*taken % es_board_recording.samples) * es_board_recording.num_channels;
    for (channel = 0; channel < es_board_recording.num_channels; channel++) {
        counts[channel] = sample[channel];
    }
    *index = *taken;
    ++*taken;
    return 1;
}

#endif
