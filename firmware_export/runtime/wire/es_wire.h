/* The wire protocol, device side: a host sends requests, the device answers. SPEC.md, part 2, defines every byte.
 *
 *     es_wire_init(&wire, &setup);                      buffers, model and port come from the caller
 *     for (;;) {
 *         while (uart_has_byte()) { es_wire_receive(&wire, uart_byte()); }
 *         es_wire_poll(&wire);                          sends the sensor's samples, if the host wants them
 *     }
 *
 * No heap, no globals, no recursion. Takes bytes one at a time; any sequence of bytes is safe. */
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
#define ES_WIRE_UNKNOWN 0xFFFFFFFFu  /* es_wire_measure_t: the port does not know */

/* Smallest sizes of the buffers, for C channels and K classes. */
#define ES_WIRE_BODY_BYTES(K) (18u + 4u * (size_t)(K) > ES_WIRE_MIN_BODY ? 18u + 4u * (size_t)(K) : ES_WIRE_MIN_BODY)
#define ES_WIRE_STREAM_BYTES(C, K) (18u + 2u * (size_t)(C) + 4u * (size_t)(K))

typedef enum es_wire_measure {
    ES_WIRE_TICKS,     /* a counter that counts up and wraps at 2^32; the unit of the cost of a step */
    ES_WIRE_FREE_STACK /* bytes of stack never used since the start, or ES_WIRE_UNKNOWN */
} es_wire_measure_t;

/* Functions that a board provides. Each gets `port` as its first argument. */
typedef struct es_wire_port {
    void *port;
    /* Sends bytes in order. May wait until there is room. */
    void (*write)(void *port, const uint8_t *bytes, size_t count);
    uint32_t (*measure)(void *port, es_wire_measure_t what);
    /* Reads one sample: int16 counts [C] and its index, counted from the start, lost samples included, modulo 2^32.
     * Returns 0 at once if there is no new sample. NULL for a board without a sensor. */
    int (*sensor)(void *port, int16_t *counts, uint32_t *index);
    const char *board;     /* name of the board, for people */
    const char *tick_unit; /* name of a tick, for example "DWT cycles" */
    uint32_t ticks_hz;     /* ticks per second, 0 if not known */
    uint32_t boot;         /* a different number at each start: random, or a counter that survives a reset */
} es_wire_port_t;

/* Takes models over the wire, for firmware that can load them: es_update_serve in runtime/load/es_update.h. */
typedef struct es_wire_update {
    void *update;
    /* Serves a message of SPEC.md, section 21. Writes the reply's fields, at most 17 bytes, and their number. Returns 0,
     * or the code of a refusal: 5 for a wrong length, 6 for a value out of range. */
    unsigned (*serve)(void *update, uint8_t type, const uint8_t *fields, size_t size, uint8_t *reply, size_t *count);
} es_wire_update_t;

/* Lets a host teach the head, for firmware with a head that learns: es_adapt_serve in es_adapt.h. */
typedef struct es_wire_adapt {
    void *adapt;
    /* Serves a message of SPEC.md, section 24. Writes the reply's fields, at most `room` bytes, and their number. Returns
     * 0, or the code of a refusal. */
    unsigned (*serve)(void *adapt, es_context_t *context, uint8_t type, const uint8_t *fields, size_t size,
                      uint8_t *reply, size_t room, size_t *count);
} es_wire_adapt_t;

/* Parameters of es_wire_init. They must live as long as the wire. */
typedef struct es_wire_setup {
    const es_wire_port_t *port;
    const es_model_t *model;
    const es_contract_t *contract;
    const es_golden_t *golden; /* or NULL: no self-test */
    void *memory;              /* memory for the model; see es_init */
    size_t memory_bytes;
    uint8_t *received;         /* [body_bytes] */
    uint8_t *reply;            /* [body_bytes] */
    size_t body_bytes;         /* at least ES_WIRE_BODY_BYTES, at most ES_WIRE_MAX_BODY; more is faster */
    uint8_t *stream;           /* [stream_bytes] */
    size_t stream_bytes;       /* ES_WIRE_STREAM_BYTES .. ES_WIRE_MAX_BODY; more is faster */
    uint8_t *state;            /* [es_state_bytes(model)], or NULL: no saved states */
    const es_wire_update_t *update; /* or NULL: this firmware loads no models */
    const es_wire_adapt_t *adapt;   /* or NULL: the head does not learn; else the model is es_adapt_model's */
} es_wire_setup_t;

/* State of a connection. The fields are for es_wire.c and for debuggers. */
typedef struct es_wire {
    const es_wire_setup_t *setup;
    es_context_t *context;
    size_t length;          /* bytes of the body received so far */
    size_t reply_size;      /* bytes of the latest reply, without checksum */
    size_t stream_size;     /* bytes of the frame of samples being filled, without checksum; 0: none */
    uint32_t frame_errors;
    uint32_t last_crc;      /* checksum of the latest request */
    uint32_t steps;         /* steps measured */
    uint32_t ticks_last;
    uint32_t ticks_lowest;
    uint32_t ticks_highest;
    uint64_t ticks_total;
    uint32_t next_index;    /* index of the next expected sample */
    uint32_t dropped;       /* samples that were not read in time */
    uint16_t last_sequence; /* sequence number of the latest request */
    uint16_t stream_sequence;
    uint8_t block_left;     /* bytes of the COBS block still to come */
    uint8_t zero_due;       /* a zero follows this block, if another block comes */
    uint8_t began;          /* a byte came since the last delimiter */
    uint8_t too_long;
    uint8_t session;        /* a host has sent HELLO */
    uint8_t label_due;      /* a label was due at the latest step */
    uint8_t has_row;        /* the context is unchanged since the latest step */
    uint8_t stream_flags;
    uint8_t stream_batch;   /* samples per frame */
    uint8_t has_index;      /* next_index is known */
} es_wire_t;

/* Creates a context in the setup's memory and gets ready for the first byte.
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_SIZE or an error of es_init. */
es_status_t es_wire_init(es_wire_t *wire, const es_wire_setup_t *setup);

/* Takes one received byte. At the end of a request, executes it and sends the reply. */
void es_wire_receive(es_wire_t *wire, uint8_t byte);

/* Reads the sensor's samples and sends them, if the host wants them. Call it often, between received bytes. */
void es_wire_poll(es_wire_t *wire);

#ifdef __cplusplus
}
#endif

#endif
