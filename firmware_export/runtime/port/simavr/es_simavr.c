/* Runs a firmware image for AVR in libsimavr. This is a program for the host.
 *
 *     program MCU FLASH WAIT STEP MAIL BUFFER STACK_BOTTOM
 *
 * FLASH is a file with the content of the program memory. The other arguments are decimal addresses in bytes: those
 * of the functions es_mail_wait and es_step in program memory, and those of the mailbox, its buffer and the stack's
 * lowest byte in data memory. es_in.bin, for each order: the size of the counts, the offset of the words in the
 * buffer and their size, in bytes, 32 bits each; the input fields of es_mail_t; the counts. es_out.bin, for each
 * order: the cycles of all its steps, 64 bits; the largest stack of a step in bytes, 32 bits; es_mail_t; the words.
 * Numbers are in the byte order of the host, except for es_mail_t, counts and words. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <simavr/sim_avr.h>

enum { FIELDS_IN = 20, MAIL_BYTES = 60, STACK_POINTER = 0x5D };

typedef struct places {
    uint32_t wait, step, mail, buffer, stack_bottom;
} places_t;

static volatile sig_atomic_t ended; /* 1: the caller has no more time */

static void end(int number)
{
    (void)number;
    ended = 1;
}

/* Cost of the steps of an order. */
typedef struct cost {
    uint64_t cycles;
    uint32_t stack;
} cost_t;

static uint32_t stack_pointer(const avr_t *avr)
{
    return avr->data[STACK_POINTER] | (uint32_t)avr->data[STACK_POINTER + 1] << 8;
}

/* Two instructions write the stack pointer, the high byte first; between them its value is meaningless. */
static int writes_stack_pointer(const avr_t *avr, unsigned io_register)
{
    const unsigned opcode = avr->flash[avr->pc] | (unsigned)avr->flash[avr->pc + 1] << 8;
    return (opcode & 0xFE0Fu) == (0xBE00u | (io_register & 0xFu)); /* out 0x3., r.. */
}

/* Runs until the firmware waits for an order; returns 1 if it does. */
static int run(avr_t *avr, const places_t *at, cost_t *cost)
{
    uint64_t begin = 0;
    uint32_t outside = 0; /* stack pointer after the return of the current step; 0 if none runs */
    int half_written = 0;

    do {
        uint32_t sp;
        int state;
        if (ended) {
            fprintf(stderr, "ended at %lu\n", (unsigned long)avr->pc);
            return 0;
        }
        half_written = writes_stack_pointer(avr, 0x3E) || (half_written && !writes_stack_pointer(avr, 0x3D));
        state = avr_run(avr);
        if (state == cpu_Crashed || state == cpu_Done || state == cpu_Stopped) {
            fprintf(stderr, "the core stopped at %lu\n", (unsigned long)avr->pc);
            return 0;
        }
        if (half_written) {
            continue;
        }
        sp = stack_pointer(avr);
        if (sp + 1 < at->stack_bottom) { /* sp is the address of the next free byte */
            fprintf(stderr, "the stack left its memory at %lu\n", (unsigned long)avr->pc);
            return 0;
        }
        if (outside == 0) {
            if (avr->pc == at->step) {
                begin = avr->cycle;
                outside = sp + avr->address_size;
            }
        } else if (sp >= outside) {
            cost->cycles += avr->cycle - begin;
            outside = 0;
        } else if (outside - sp > cost->stack) {
            cost->stack = outside - sp;
        }
    } while (avr->pc != at->wait);
    return 1;
}

static int answer(avr_t *avr, const places_t *at, FILE *in, FILE *out)
{
    uint32_t order[3]; /* size of the counts, offset and size of the words */

    while (fread(order, sizeof order, 1, in) == 1) {
        cost_t cost = {0, 0};
        if (fread(avr->data + at->mail, FIELDS_IN, 1, in) != 1 ||
            fread(avr->data + at->buffer, 1, order[0], in) != order[0]) {
            fprintf(stderr, "es_in.bin ends within a mail\n");
            return 0;
        }
        if (!run(avr, at, &cost)) {
            return 0;
        }
        if (fwrite(&cost.cycles, sizeof cost.cycles, 1, out) != 1 ||
            fwrite(&cost.stack, sizeof cost.stack, 1, out) != 1 ||
            fwrite(avr->data + at->mail, MAIL_BYTES, 1, out) != 1 ||
            fwrite(avr->data + at->buffer + order[1], 1, order[2], out) != order[2]) {
            fprintf(stderr, "es_out.bin cannot be written\n");
            return 0;
        }
    }
    return 1;
}

static avr_t *load(const char *mcu, const char *path)
{
    static uint8_t flash[1u << 18];
    avr_t *const avr = avr_make_mcu_by_name(mcu);
    FILE *const file = fopen(path, "rb");
    size_t bytes;

    if (avr == NULL || file == NULL) {
        fprintf(stderr, "%s cannot be emulated, or %s not read\n", mcu, path);
        return NULL;
    }
    bytes = fread(flash, 1, sizeof flash, file);
    fclose(file);
    avr_init(avr);
    avr->run_cycle_limit = 1; /* one instruction per call */
    avr_loadcode(avr, flash, (uint32_t)bytes, 0);
    avr->codeend = (uint32_t)bytes;
    return avr;
}

int main(int argc, char **argv)
{
    places_t at;
    cost_t start = {0, 0};
    avr_t *avr;
    FILE *in, *out;

    if (argc != 8) {
        fprintf(stderr, "usage: program MCU FLASH WAIT STEP MAIL BUFFER STACK_BOTTOM\n");
        return 2;
    }
    signal(SIGTERM, end);
    at.wait = (uint32_t)strtoul(argv[3], NULL, 10);
    at.step = (uint32_t)strtoul(argv[4], NULL, 10);
    at.mail = (uint32_t)strtoul(argv[5], NULL, 10);
    at.buffer = (uint32_t)strtoul(argv[6], NULL, 10);
    at.stack_bottom = (uint32_t)strtoul(argv[7], NULL, 10);
    avr = load(argv[1], argv[2]);
    in = fopen("es_in.bin", "rb");
    out = fopen("es_out.bin", "wb");
    if (avr == NULL || in == NULL || out == NULL) {
        return 1;
    }
    return !(run(avr, &at, &start) && answer(avr, &at, in, out) && fclose(out) == 0);
}
