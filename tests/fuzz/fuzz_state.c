/* Fuzzes es_state_restore: any bytes as a saved state of the board's model, with the right hash and checksum, so that
 * its fields are reached. A state that is accepted is used for two windows and saved again. */
#include "es_board.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 1024u
#define HEAD 8u /* bytes of the hash */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0; size--) {
        unsigned bit;
        crc ^= *bytes;
        for (bit = 0; bit < 8u; bit++) {
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
        }
        bytes++;
    }
    return crc ^ 0xFFFFFFFFu;
}

/* The first byte says how a valid state is changed: by bytes of the input at places that it gives, or all of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t saved[ROOM];
    static es_context_t *context;
    uint8_t forged[ROOM];
    int16_t counts[64] = {0};
    const es_model_t *const model = es_board_setup.model;
    const size_t bytes = es_state_bytes(model);
    uint32_t crc;
    size_t index;
    unsigned step;

    if (size < 4u) {
        return 0;
    }
    if (context == NULL) {
        require(bytes <= ROOM);
        require(es_init(model, es_board_setup.memory, es_board_setup.memory_bytes, &context) == ES_OK);
        counts[0] = 1000;
        (void)es_step(context, counts);
        require(es_state_save(context, saved, ROOM) == ES_OK);
    }
    memcpy(forged, saved, bytes);
    if (data[0] % 4u == 0u) {
        for (index = HEAD; index < bytes - 4u; index++) {
            forged[index] = data[index % size];
        }
    } else {
        for (index = 1; index + 1u < size && index < 2u * (data[0] % 8u) + 1u; index += 2u) {
            forged[HEAD + data[index] % (bytes - HEAD - 4u)] = data[index + 1u];
        }
    }
    crc = crc_of(forged, bytes - 4u);
    for (index = 0; index < 4u; index++) {
        forged[bytes - 4u + index] = (uint8_t)(crc >> (8u * index));
    }
    if (es_state_restore(context, forged, bytes) != ES_OK) {
        return 0;
    }
    require(es_state_save(context, saved, ROOM) == ES_OK && memcmp(saved, forged, bytes) == 0);
    for (step = 0; step < 2u * model->window_length; step++) {
        for (index = 0; index < model->num_channels; index++) {
            counts[index] = (int16_t)(data[(step + index) % size] * 257 - 32768);
        }
        (void)es_step(context, counts);
    }
    require(es_label(context) == ES_NO_LABEL || es_label(context) < model->num_classes);
    require(es_state_save(context, saved, ROOM) == ES_OK);
    require(es_state_restore(context, saved, bytes) == ES_OK);
    return 0;
}
