/* Fuzzes the device side of the wire with libFuzzer. There are two programs. With FUZZ_DECODER, the input goes
 * directly to the decoder, for a hundred million runs. Without, the input is turned into valid frames, so that
 * every request is reached. */
#include "es_board.h"

#include <stdlib.h>
#include <string.h>

#define BODY 256u

typedef struct fuzz {
    const uint8_t *data;
    size_t size;
    uint32_t index;
} fuzz_t;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) {
        abort();
    }
}

static void fuzz_write(void *port, const uint8_t *bytes, size_t count)
{
    volatile uint8_t seen = 0;
    (void)port;
    for (; count > 0; count--) {
        seen ^= *bytes;
        bytes++;
    }
}

static uint32_t fuzz_measure(void *port, es_wire_measure_t what)
{
    fuzz_t *const fuzz = port;
    return what == ES_WIRE_TICKS ? fuzz->index * 7u : ES_WIRE_UNKNOWN;
}

#ifndef FUZZ_DECODER
/* The input decides how many samples come, and how many are lost between them. */
static int fuzz_sensor(void *port, int16_t *counts, uint32_t *index)
{
    fuzz_t *const fuzz = port;
    uint32_t channel;
    if (fuzz->size == 0 || fuzz->data[0] % 4u == 0u) {
        return 0;
    }
    fuzz->index += fuzz->data[0] % 3u;
    *index = fuzz->index;
    for (channel = 0; channel < es_board_recording.num_channels; channel++) {
        counts[channel] = fuzz->data[0];
    }
    fuzz->data++;
    fuzz->size--;
    return 1;
}

#endif

static void give(es_wire_t *wire, const uint8_t *bytes, size_t size)
{
    for (; size > 0; size--) {
        es_wire_receive(wire, *bytes);
        require(wire->length <= BODY && wire->stream_size <= wire->setup->stream_bytes - 4u);
        require(wire->reply_size <= BODY - 4u);
        bytes++;
    }
}

#ifndef FUZZ_DECODER
static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0; size--) {
        unsigned bit;
        crc ^= *bytes;
        for (bit = 0; bit < 8u; bit++) {
            crc = (crc & 1u) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }
        bytes++;
    }
    return crc ^ 0xFFFFFFFFu;
}

/* A valid frame: size bytes of header and fields. */
static void give_frame(es_wire_t *wire, const uint8_t *bytes, size_t size)
{
    uint8_t body[300];
    uint8_t encoded[310];
    size_t at = 0;
    size_t out = 1;
    size_t code = 0;
    uint32_t crc = crc_of(bytes, size);
    memcpy(body, bytes, size);
    for (; at < 4u; at++) {
        body[size] = (uint8_t)(crc >> (8u * at));
        size++;
    }
    encoded[0] = 1;
    for (at = 0; at < size; at++) {
        if (body[at] != 0u) {
            encoded[out] = body[at];
            out++;
            encoded[code]++;
        }
        if (body[at] == 0u || encoded[code] == 0xFFu) {
            code = out;
            encoded[out] = 1;
            out++;
        }
    }
    encoded[out] = 0;
    give(wire, encoded, out + 1u);
}
#endif

#ifdef FUZZ_DECODER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static es_wire_port_t port = {NULL, fuzz_write, fuzz_measure, NULL, "fuzz", "none", 0, 1};
    static fuzz_t fuzz;
    static es_wire_setup_t setup;
    static es_wire_t fresh;
    es_wire_t wire;
    if (fresh.setup == NULL) { /* once, as creating a context is slower than reading a frame */
        port.port = &fuzz;
        setup = es_board_setup;
        setup.port = &port;
        require(es_wire_init(&fresh, &setup) == ES_OK);
    }
    wire = fresh;
    give(&wire, data, size);
    return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static es_wire_t wire;
    fuzz_t fuzz = {0};
    const es_wire_port_t port = {&fuzz, fuzz_write, fuzz_measure, fuzz_sensor, "fuzz", "none", 0, 1};
    es_wire_setup_t setup = es_board_setup;

    if (size < 2u) {
        return 0;
    }
    setup.port = &port;
    setup.golden = (data[0] & 2u) != 0u ? es_board_setup.golden : NULL;
    setup.state = (data[0] & 4u) != 0u ? NULL : es_board_setup.state;
    require(es_wire_init(&wire, &setup) == ES_OK);
    data++;
    size--;
    wire.session = 1;
    while (size >= 2u) {
        /* type, then size of the fields; the sequence number continues, or comes from the input */
        uint8_t body[300] = {1, (uint8_t)(data[0] % 16u), 0, 0};
        size_t count = data[1];
        if (data[0] >= 0xF0u) {
            memcpy(body, data, size < 4u ? size : 4u);
        } else {
            body[2] = (uint8_t)((wire.last_sequence + 1u) & 0xFFu);
            body[3] = (uint8_t)((wire.last_sequence + 1u) >> 8);
        }
        data += 2;
        size -= 2u;
        count = count < size ? count : size;
        memcpy(body + 4, data, count);
        data += count;
        size -= count;
        give_frame(&wire, body, 4u + count);
        fuzz.data = data;
        fuzz.size = size < 4u ? size : 4u;
        es_wire_poll(&wire);
        require(wire.stream_size <= setup.stream_bytes - 4u);
    }
    return 0;
}
#endif
