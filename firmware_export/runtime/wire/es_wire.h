/* A model on a wire: what a host asks, the device answers. SPEC.md, part 2, defines every byte.
 *
 *     es_wire_init(&wire, &setup);                      buffers, model and port come from the caller
 *     for (;;) {
 *         while (uart_has_byte()) { es_wire_receive(&wire, uart_byte()); }
 *         es_wire_poll(&wire);                          sends what the sensor gave, if the host wants it
 *     }
 *
 * No heap, no globals, no recursion; bytes one at a time, in any order and of any kind. */
#ifndef ES_WIRE_H
#define ES_WIRE_H

#include "edge_seq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_WIRE_VERSION 1u
#define ES_WIRE_RUNTIME "0.1.0"      /* release of the runtime that this file belongs to */
#define ES_WIRE_MIN_BODY 256u
#define ES_WIRE_MAX_BODY 4096u
#define ES_WIRE_UNKNOWN 0xFFFFFFFFu  /* es_wire_measure_t: the port cannot tell */

/* Least sizes of the buffers, for C channels and K classes. */
#define ES_WIRE_BODY_BYTES(K) (18u + 4u * (size_t)(K) > ES_WIRE_MIN_BODY ? 18u + 4u * (size_t)(K) : ES_WIRE_MIN_BODY)
#define ES_WIRE_STREAM_BYTES(C, K) (18u + 2u * (size_t)(C) + 4u * (size_t)(K))

typedef enum es_wire_measure {
    ES_WIRE_TICKS,     /* a counter that runs up and wraps at 2^32; what costs a step is counted in it */
    ES_WIRE_FREE_STACK /* bytes of the stack never used since the start, or ES_WIRE_UNKNOWN */
} es_wire_measure_t;

/* What a board must be able to do: three functions. `port` is given to each. */
typedef struct es_wire_port {
    void *port;
    /* Sends bytes, in order; may wait until there is room. */
    void (*write)(void *port, const uint8_t *bytes, size_t count);
    uint32_t (*measure)(void *port, es_wire_measure_t what);
    /* One sample, int16 counts [C], and its index: samples are counted from the start, the lost ones too, modulo 2^32.
     * Returns 0 at once where none has come. NULL for a board without a sensor. */
    int (*sensor)(void *port, int16_t *counts, uint32_t *index);
    const char *board;     /* a name for people */
    const char *tick_unit; /* what a tick is, for example "DWT cycles" */
    uint32_t ticks_hz;     /* ticks a second, 0 if not known */
    uint32_t boot;         /* another number at each start: a random one, or a counter that outlives a reset */
} es_wire_port_t;

/* Everything that es_wire_init takes; it must live as long as the wire. */
typedef struct es_wire_setup {
    const es_wire_port_t *port;
    const es_model_t *model;
    const es_contract_t *contract;
    const es_golden_t *golden; /* or NULL: no self-test */
    void *memory;              /* for the model, as es_init wants it */
    size_t memory_bytes;
    uint8_t *received;         /* [body_bytes] */
    uint8_t *reply;            /* [body_bytes] */
    size_t body_bytes;         /* at least ES_WIRE_BODY_BYTES, at most ES_WIRE_MAX_BODY; more is faster */
    uint8_t *stream;           /* [stream_bytes] */
    size_t stream_bytes;       /* at least ES_WIRE_STREAM_BYTES; more samples fit a frame then. At most ES_WIRE_MAX_BODY */
    uint8_t *state;            /* [es_state_bytes(model)], or NULL: no saved states */
} es_wire_setup_t;

/* Fields are for es_wire.c and for debuggers. */
typedef struct es_wire {
    const es_wire_setup_t *setup;
    es_context_t *context;
    size_t length;          /* bytes of the body received so far */
    size_t reply_size;      /* bytes of the latest reply, without checksum */
    size_t stream_size;     /* bytes of the frame of samples that is being filled, without checksum; 0: none */
    uint32_t frame_errors;
    uint32_t last_crc;      /* of the latest request */
    uint32_t steps;         /* that were counted */
    uint32_t ticks_last;
    uint32_t ticks_lowest;
    uint32_t ticks_highest;
    uint64_t ticks_total;
    uint32_t next_index;    /* of the sample that should come next */
    uint32_t dropped;       /* samples that did not come in time */
    uint16_t last_sequence; /* of the latest request */
    uint16_t stream_sequence;
    uint8_t block_left;     /* bytes of the COBS block that are to come */
    uint8_t zero_due;       /* a zero stands between this block and the next */
    uint8_t began;          /* something came since the last delimiter */
    uint8_t too_long;
    uint8_t session;        /* a host said hello */
    uint8_t label_due;      /* of the latest step */
    uint8_t has_row;        /* the context is as the latest step left it */
    uint8_t stream_flags;
    uint8_t stream_batch;   /* samples of a frame */
    uint8_t has_index;      /* next_index is known */
} es_wire_t;

/* Makes a context in the setup's memory and waits for the first byte.
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_SIZE or an error of es_init. */
es_status_t es_wire_init(es_wire_t *wire, const es_wire_setup_t *setup);

/* Takes one byte in. At the end of a request does what it asks, and sends the reply. */
void es_wire_receive(es_wire_t *wire, uint8_t byte);

/* Takes what the sensor gave and sends it, if the host wants it; to be called often, and between bytes. */
void es_wire_poll(es_wire_t *wire);

#ifdef __cplusplus
}
#endif

#endif
