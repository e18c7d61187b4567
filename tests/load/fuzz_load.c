/* Damages a blob in many ways, mends its checksum, loads it, and runs the model if es_load takes it. Each piece of memory
 * has exactly the size that was asked for, so that a sanitizer sees each access outside it.
 *
 *     fuzz_load BLOB ROUNDS SEED     prints how many blobs were refused, and how many ran */
#include "es_crc.h"
#include "es_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned long fuzz_load(const uint8_t *whole, size_t size, unsigned long rounds, unsigned long seed);

static uint32_t state;

static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

static void put32(uint8_t *at, uint32_t value)
{
    unsigned index;
    for (index = 0; index < 4u; index++) {
        at[index] = (uint8_t)(value >> (8u * index));
    }
}

static void mend(uint8_t *blob, size_t size)
{
    uint32_t crc = ES_CRC_START;
    size_t index;
    put32(blob + 12, (uint32_t)size);
    for (index = 0; index < size; index++) {
        crc = index >= 16u && index < 20u ? crc : es_crc_byte(crc, blob[index]);
    }
    put32(blob + 16, es_crc_end(crc));
}

/* Changes a few places, mostly among the numbers, and sometimes the size. */
static size_t damage(uint8_t *blob, size_t size)
{
    static const uint8_t telling[] = {0, 1, 2, 4, 8, 15, 16, 64, 127, 128, 255};
    uint32_t places = 1u + any(3);
    size_t left = size;
    for (; places > 0u; places--) {
        const size_t at = any(4) != 0u ? 64u + any(120) : any((uint32_t)size);
        if (at < size) {
            blob[at] = any(3) == 0u ? (uint8_t)any(256) : telling[any(sizeof telling)];
        }
    }
    if (any(8) == 0u) {
        left = 64u + any((uint32_t)size - 64u);
        left -= any(4) == 0u ? 0u : left % 4u;
    }
    return left;
}

static int run(const uint8_t *bytes, size_t size)
{
    uint8_t *const blob = malloc(size);
    const size_t room = es_load_bytes(memcpy(blob, bytes, size), size);
    void *const memory = malloc(room != 0u ? room : 1u);
    const es_loaded_t *loaded;
    const es_status_t status = es_load(blob, size, NULL, memory, room, &loaded);
    if (status == ES_OK) {
        const es_model_t *const model = &loaded->model;
        const size_t bytes_of = es_context_bytes(model);
        const size_t saved = es_state_bytes(model);
        void *const place = malloc(bytes_of);
        uint8_t *const state_bytes = malloc(saved);
        es_context_t *context;
        int16_t counts[64];
        unsigned step;
        (void)es_self_test(&loaded->golden, place, bytes_of, NULL);
        if (es_init(model, place, bytes_of, &context) == ES_OK) {
            for (step = 0; step < 40u; step++) {
                unsigned channel;
                for (channel = 0; channel < 64u; channel++) {
                    counts[channel] = (int16_t)((int32_t)any(65536) - 32768);
                }
                (void)es_step(context, counts);
                (void)es_label_text(model, es_decision(context));
            }
            (void)es_state_save(context, state_bytes, saved);
            (void)es_state_restore(context, state_bytes, saved);
        }
        free(state_bytes);
        free(place);
    }
    free(memory);
    free(blob);
    return status == ES_OK ? 1 : 0;
}

/* Returns how many of the rounds ran. `whole` is a blob of at most a megabyte. */
unsigned long fuzz_load(const uint8_t *whole, size_t size, unsigned long rounds, unsigned long seed)
{
    static uint8_t bytes[1u << 20];
    unsigned long round;
    unsigned long ran = 0;
    state = (uint32_t)seed * 2654435761u + 1u;
    for (round = 0; round < rounds; round++) {
        size_t left;
        memcpy(bytes, whole, size);
        left = damage(bytes, size);
        mend(bytes, left);
        ran += (unsigned long)run(bytes, left);
    }
    return ran;
}

int main(int argc, char **argv)
{
    static uint8_t whole[1u << 20];
    unsigned long rounds;
    unsigned long ran;
    size_t size;
    FILE *file;
    if (argc != 4 || (file = fopen(argv[1], "rb")) == NULL) {
        return 2;
    }
    size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    rounds = strtoul(argv[2], NULL, 10);
    ran = fuzz_load(whole, size, rounds, strtoul(argv[3], NULL, 10));
    printf("%lu refused, %lu ran\n", rounds - ran, ran);
    return 0;
}
