/* How an emulator and the firmware that it runs exchange counts and states: through memory. */
#ifndef ES_MAIL_H
#define ES_MAIL_H

#include "edge_seq.h"

/* What to do and what came of it, in the byte order of the machine. firmware_export/running/mail.py has the same layout. */
typedef struct es_mail {
    uint32_t model;        /* in: index into es_image_models */
    uint32_t begin;        /* in: 1: make the context anew; 0: go on */
    uint32_t steps;        /* in: samples in the buffer */
    uint32_t window_steps; /* in: samples after which the context is reset */
    uint32_t keep;         /* in: 1: write the words of each step behind the counts; 0: only run */
    uint32_t status;       /* out: es_status_t of es_init */
    uint32_t row_words;    /* out: int32 words a step */
    uint8_t hash[ES_HASH_BYTES]; /* out: of the model */
} es_mail_t;

/* Counts, int16 [steps, C]; from the next multiple of four on words, int32 [steps, row_words]. */
typedef union es_mail_buffer {
    int32_t words[ES_MAIL_BUFFER_BYTES / 4u];
    int16_t counts[ES_MAIL_BUFFER_BYTES / 2u];
} es_mail_buffer_t;

extern es_mail_t es_mail;
extern es_mail_buffer_t es_mail_buffer;

/* An emulator that reaches into memory stops where this begins, with the results of the mail before; it fills the mail
 * and lets it return. Where an emulator cannot do that, this function fetches and delivers by itself. */
void es_mail_wait(void);

/* The models of this image and memory for any of them; generated. */
extern const es_model_t *const es_image_models[];
extern const uint32_t es_image_num_models;
extern void *const es_image_memory;
extern const size_t es_image_memory_bytes;

int main(void);

#endif
