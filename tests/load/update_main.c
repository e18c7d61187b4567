/* A board with two slots of flash whose power a test cuts off. stdin, for each turn: an order, 8 bits; a number, 32 bits;
 * so many bytes for the order RECEIVE. stdout, for each turn: a number, 32 bits; so many bytes for RECEIVE.
 *
 *     START    the power is on again, and the board starts; answers 0, or 1 if it cannot
 *     CUT      the power goes when the flash has done so much more work (a byte written, or erased, is 1)
 *     RECEIVE  bytes of the host; answers with those of the board, none without power
 *     WORK     answers with the work of the flash since the start of the program
 *     ROT      changes a byte of the slot in use, as damage would; the number is where */
#include "es_board.h"
#include "es_update.h"

#include <stdio.h>
#include <string.h>

#define SLOT 16384u
#define PAGE 512u
#define MODEL_BYTES 16384u

enum { START = 0, CUT = 1, RECEIVE = 2, WORK = 3, ROT = 4 };

typedef struct board {
    uint32_t waiting;
    uint8_t out[1u << 16];
} board_t;

static uint8_t slots[2][SLOT] __attribute__((aligned(8)));
static uint32_t work;
static uint32_t until; /* work at which the power goes */
static int powered;
static uint32_t noise = 1;

static union {
    void *alignment;
    uint8_t bytes[MODEL_BYTES];
} loaded[2], context;

static uint8_t any(void)
{
    noise = noise * 1664525u + 1013904223u;
    return (uint8_t)(noise >> 24);
}

/* Counts the work on one byte. Returns 0 if there is no power for it any more. */
static int can_work(void)
{
    if (powered && work == until) {
        powered = 0;
    }
    work += powered ? 1u : 0u;
    return powered;
}

/* A page that loses power while it is erased holds anything. */
static int erase(void *port, unsigned slot, uint32_t offset)
{
    uint8_t *const page = slots[slot] + offset;
    uint32_t index;
    (void)port;
    if (!powered || offset % PAGE != 0u || offset >= SLOT) {
        return 0;
    }
    for (index = 0; index < PAGE; index++) {
        if (!can_work()) {
            for (; index < PAGE; index++) {
                page[index] |= any();
            }
            return 0;
        }
        page[index] = 0xFF;
    }
    return 1;
}

/* Writing clears bits. A byte that loses power has some of them cleared. */
static int write_flash(void *port, unsigned slot, uint32_t offset, const uint8_t *bytes)
{
    const es_flash_t *const flash = port;
    uint32_t index;
    if (!powered || offset % flash->write_bytes != 0u || offset >= SLOT) {
        return 0;
    }
    for (index = 0; index < flash->write_bytes; index++) {
        if (!can_work()) {
            slots[slot][offset + index] &= (uint8_t)(bytes[index] | any());
            return 0;
        }
        slots[slot][offset + index] &= bytes[index];
    }
    return 1;
}

static void send(void *port, const uint8_t *bytes, size_t count)
{
    board_t *const board = port;
    memcpy(board->out + board->waiting, bytes, count);
    board->waiting += (uint32_t)count;
}

static uint32_t measure(void *port, es_wire_measure_t what)
{
    (void)port;
    return what == ES_WIRE_TICKS ? 0u : ES_WIRE_UNKNOWN;
}

int main(void)
{
    static board_t board;
    static uint8_t received[1u << 16];
    static es_wire_t wire;
    static es_update_t update;
    es_flash_t flash = {&flash, {slots[0], slots[1]}, SLOT, PAGE, FLASH_WRITE, erase, write_flash};
    es_update_setup_t setup = {&flash, NULL, NULL, NULL, {&loaded[0], &loaded[1]}, MODEL_BYTES, &context, MODEL_BYTES,
                               NULL};
    es_wire_update_t update_port = {&update, es_update_serve};
    es_wire_port_t port = {&board, send, measure, NULL, "power", "none", 0, 1};
    es_wire_setup_t wire_setup = es_board_setup;
    struct {
        uint32_t order;
        uint32_t number;
    } turn;

    memset(slots, 0xFF, sizeof slots);
    setup.model = es_board_setup.model;
    setup.contract = es_board_setup.contract;
    setup.golden = es_board_setup.golden;
    while (fread(&turn, sizeof turn, 1, stdin) == 1) {
        uint32_t answer = 0;
        board.waiting = 0;
        switch (turn.order) {
        case START:
            powered = 1;
            until = UINT32_MAX;
            answer = es_update_begin(&update, &setup) != ES_OK;
            wire_setup.port = &port;
            wire_setup.model = update.model;
            wire_setup.contract = update.contract;
            wire_setup.golden = update.golden;
            wire_setup.memory = &context;
            wire_setup.memory_bytes = sizeof context;
            wire_setup.state = NULL;
            wire_setup.update = &update_port;
            port.boot++;
            answer |= (uint32_t)(es_wire_init(&wire, &wire_setup) != ES_OK);
            break;
        case CUT:
            until = work + turn.number;
            break;
        case WORK:
            answer = work;
            break;
        case ROT:
            slots[update.active - 1u][turn.number] ^= 1u;
            break;
        default:
            if (turn.number > sizeof received || fread(received, 1, turn.number, stdin) != turn.number) {
                return 2;
            }
            for (answer = 0; answer < turn.number && powered; answer++) {
                es_wire_receive(&wire, received[answer]);
            }
            answer = powered ? board.waiting : 0u;
            break;
        }
        (void)fwrite(&answer, sizeof answer, 1, stdout);
        if (turn.order == (uint32_t)RECEIVE) {
            (void)fwrite(board.out, 1, answer, stdout);
        }
        (void)fflush(stdout);
    }
    return 0;
}
