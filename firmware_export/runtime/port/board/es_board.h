/* Shared by the emulated boards: a model, buffers, and a sensor that plays a recording in a loop.
 * firmware_export/running/board.py generates the file that defines them. */
#ifndef ES_BOARD_H
#define ES_BOARD_H

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
