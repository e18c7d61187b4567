/* The device side of the wire, driven by a test. It has no clock, so every run is the same.
 *
 * stdin, for each turn: the number of samples that the sensor has given so far, 32 bits; the number of received bytes,
 * 32 bits; these bytes. stdout, for each turn: the number of sent bytes, 32 bits; these bytes. All numbers are in this
 * machine's byte order. */
#include "es_board.h"

#include <stdio.h>
#include <string.h>

#define FIFO 64u

typedef struct driver {
    uint32_t given;
    uint32_t taken;
    uint32_t waiting;
    uint8_t out[1u << 20];
} driver_t;

static void driver_write(void *port, const uint8_t *bytes, size_t count)
{
    driver_t *const driver = port;
    memcpy(driver->out + driver->waiting, bytes, count);
    driver->waiting += (uint32_t)count;
}

static uint32_t driver_measure(void *port, es_wire_measure_t what)
{
    (void)port;
#ifdef DRIVER_BARE
    static uint32_t ticks;
    ticks += ticks % 7u + 1u;
    return what == ES_WIRE_TICKS ? ticks : ES_WIRE_UNKNOWN;
#else
    return what == ES_WIRE_TICKS ? 0u : ES_WIRE_UNKNOWN;
#endif
}

static int driver_sensor(void *port, int16_t *counts, uint32_t *index)
{
    driver_t *const driver = port;
    if (driver->given - driver->taken > FIFO) {
        driver->taken = driver->given - FIFO;
    }
    return es_board_sample(driver->given, &driver->taken, counts, index);
}

#ifdef DRIVER_BARE
/* Errors that a program, but not a host, can make. */
static int refuses_wrong_setups(es_wire_t *wire, const es_wire_setup_t *right)
{
    es_wire_setup_t wrong[12];
    size_t index;
    for (index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        wrong[index] = *right;
    }
    wrong[0].port = NULL;
    wrong[1].model = NULL;
    wrong[2].contract = NULL;
    wrong[3].received = NULL;
    wrong[4].reply = NULL;
    wrong[5].stream = NULL;
    wrong[6].body_bytes = ES_WIRE_MIN_BODY - 1u;
    wrong[7].body_bytes = ES_WIRE_MAX_BODY + 1u;
    wrong[8].stream_bytes = 1;
    wrong[9].stream_bytes = ES_WIRE_MAX_BODY + 1u;
    wrong[10].memory_bytes = 1;
    wrong[11].memory = NULL;
    for (index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
        if (es_wire_init(wire, &wrong[index]) == ES_OK) {
            return 0;
        }
    }
    return es_wire_init(NULL, right) != ES_OK && es_wire_init(wire, NULL) != ES_OK;
}
#endif

#ifdef DRIVER
/* Replies with the message's type and first field. */
static unsigned driver_serve(void *update, uint8_t type, const uint8_t *fields, size_t size, uint8_t *reply,
                             size_t *count)
{
    (void)update;
    reply[0] = type;
    reply[1] = size != 0u ? fields[0] : 0u;
    *count = 2;
    return size > 1u ? 5u : 0u;
}
#endif

int main(void)
{
#ifdef DRIVER
    const es_wire_update_t update = {NULL, driver_serve};
#endif
    static driver_t driver;
    static uint8_t received[1u << 16];
    static es_wire_t wire;
#ifdef DRIVER_LEARNS
    static es_board_head_t learner;
#endif
    const es_wire_port_t port = {&driver, driver_write, driver_measure, driver_sensor, "twin", "none", 0, 1};
    es_wire_setup_t setup = es_board_setup;
    uint32_t head[2];
#ifdef DRIVER_BARE
    es_wire_port_t bare; /* without a sensor; its setup has no self-test and no states */
#endif

    setup.port = &port;
#ifdef DRIVER
    setup.update = &update;
#endif
#ifdef DRIVER_BARE
    if (!refuses_wrong_setups(&wire, &setup)) {
        return 3;
    }
    setup.state = NULL;
    setup.golden = NULL;
    bare = port;
    bare.sensor = NULL;
    setup.port = &bare;
#endif
#ifdef DRIVER_LEARNS
    if (es_board_begin(&wire, &setup, &learner) != ES_OK) {
        return 1;
    }
    if (DRIVER_LEARNS == 2) { /* without memory to save */
        learner.learns.saved = NULL;
    }
#else
    if (es_wire_init(&wire, &setup) != ES_OK) {
        return 1;
    }
#endif
#ifdef DRIVER_BARE
    wire.steps = 0xFFFFFFFEu; /* one before the last that is counted */
    wire.ticks_lowest = 0xFFFFFFFFu;
#endif
#ifdef DRIVER_NEAR_END
    wire.steps = wire.frame_errors = 0xFFFFFFFDu;
    wire.ticks_total = wire.steps;
#endif
    while (fread(head, sizeof head, 1, stdin) == 1) {
        uint32_t index;
        driver.given = head[0];
        if (head[1] > sizeof received || fread(received, 1, head[1], stdin) != head[1]) {
            return 2;
        }
        if (wire.stream_flags == 0u) {
            driver.taken = driver.given;
        }
        for (index = 0; index < head[1]; index++) {
            es_wire_receive(&wire, received[index]);
        }
        es_wire_poll(&wire);
        fwrite(&driver.waiting, sizeof driver.waiting, 1, stdout);
        fwrite(driver.out, 1, driver.waiting, stdout);
        fflush(stdout);
        driver.waiting = 0;
    }
    return 0;
}
