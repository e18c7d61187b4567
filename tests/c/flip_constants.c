/* Flips each bit of every constant of a model and of the runtime's table, one at a time, and counts the flips that
 * es_self_test or es_check_constants does not see. A test generates flip_model.h: it includes the model's sources, so
 * that their static data have names here, and lists the data. All files are compiled with -Dconst=. */
#include "flip_model.h"

#include "es_tanh.h"

#ifdef FLIP_BARE
#include "es_mail.h"

es_mail_t es_mail;
es_mail_buffer_t es_mail_buffer;
const es_model_t *const es_image_models[] = {&FLIP_MODEL};
#else
#include <stdio.h>
#endif

typedef struct {
    const char *name;
    void *at;
    size_t bytes;
} region_t;

static region_t regions[] = {FLIP_REGIONS{"table", ES_TABLE_IN_USE, sizeof ES_TABLE_IN_USE},
                             {"table's checksum", &ES_TABLE_IN_USE_CRC, sizeof ES_TABLE_IN_USE_CRC}};

static uint32_t flips;
static uint32_t missed;

/* A round in slices; other sizes each time. */
static es_status_t round_in_slices(void)
{
    es_check_t check;
    es_status_t status = es_check_begin(&check, &FLIP_CONSTANTS);
    size_t slice = 1u + flips % 500u;
    while (status == ES_OK) {
        status = es_check_constants(&check, slice);
    }
    return status;
}

static int seen(void)
{
    es_place_t place = {0, 0};
    return es_self_test(&FLIP_GOLDEN, &flip_memory, sizeof flip_memory, &place) == ES_ERROR_SELF_TEST &&
           place.window == ES_CONSTANTS && round_in_slices() == ES_ERROR_SELF_TEST;
}

/* Every `stride`-th bit, from one that differs from region to region. */
static void flip(region_t *region, uint32_t stride)
{
    unsigned char *bytes = (unsigned char *)region->at;
    uint32_t bit;
    for (bit = flips % stride; bit < 8u * region->bytes; bit += stride) {
        unsigned char mask = (unsigned char)(1u << (bit % 8u));
        bytes[bit / 8u] ^= mask;
        flips++;
        if (!seen()) {
            missed++;
#ifndef FLIP_BARE
            printf("not seen: bit %lu of %s\n", (unsigned long)bit, region->name);
#endif
        }
        bytes[bit / 8u] ^= mask;
    }
}

static void flip_all(uint32_t stride)
{
    size_t index;
    if (round_in_slices() != ES_CHECK_DONE || es_self_test(&FLIP_GOLDEN, &flip_memory, sizeof flip_memory, NULL)) {
        missed = 0xFFFFFFFFu;
        return;
    }
    for (index = 0; index < sizeof regions / sizeof regions[0]; index++) {
        flip(&regions[index], stride);
    }
    FLIP_TEXTS(stride)
}

int main(void)
{
#ifdef FLIP_BARE
    for (;;) {
        es_mail_wait();
        flips = missed = 0;
        flip_all(es_mail.steps);
        es_mail.status = missed;
        es_mail.row_words = flips;
    }
#else
    flip_all(FLIP_STRIDE);
    printf("%lu flips, %lu not seen\n", (unsigned long)flips, (unsigned long)missed);
    return missed != 0;
#endif
}
