/* The mailbox: memory through which an emulator and its firmware exchange counts and states. */
#ifndef ES_MAIL_H
#define ES_MAIL_H

#include "edge_seq.h"

/* An order and its answer, in the byte order of the machine. firmware_export/running/mail.py has the same layout. */
typedef struct es_mail {
    uint32_t model;        /* in: index into es_image_models */
    uint32_t begin;        /* in: 1: create the context again; 0: continue */
    uint32_t steps;        /* in: samples in the buffer */
    uint32_t window_steps; /* in: samples after which the context is reset */
    uint32_t keep;         /* in: 1: write the words of each step after the counts; 0: only run */
    uint32_t status;       /* out: es_status_t of es_init */
    uint32_t row_words;    /* out: int32 words per step */
    uint8_t hash[ES_HASH_BYTES]; /* out: hash of the model */
} es_mail_t;

/* Counts int16 [steps, C]; then, from the next multiple of four bytes, words int32 [steps, row_words]. */
typedef union es_mail_buffer {
    int32_t words[ES_MAIL_BUFFER_BYTES / 4u];
    int16_t counts[ES_MAIL_BUFFER_BYTES / 2u];
} es_mail_buffer_t;

extern es_mail_t es_mail;
extern es_mail_buffer_t es_mail_buffer;

/* Waits for an order. An emulator that can access memory stops at the start of this function, reads the previous
 * answer, writes the next order and lets the function return. For other emulators, the function itself reads and
 * writes files. A WebAssembly module imports it. */
#ifdef __wasm__
__attribute__((import_module("env"), import_name("es_mail_wait")))
#endif
void es_mail_wait(void);

/* The models of this image, and memory for one context of any of them; generated. */
extern const es_model_t *const es_image_models[];
extern const uint32_t es_image_num_models;
extern void *const es_image_memory;
extern const size_t es_image_memory_bytes;

int main(void);

#endif
