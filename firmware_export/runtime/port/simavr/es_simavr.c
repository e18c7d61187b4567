/* Runs a firmware image for an AVR in libsimavr, a program of the host.
 *
 *     program MCU FLASH WAIT STEP MAIL BUFFER STACK_BOTTOM
 *
 * FLASH is a file with the contents of the program memory; the others are addresses, decimal: of the functions
 * es_mail_wait and es_step in the program memory, in bytes, and of the mail, its buffer and the stack's lowest byte in
 * the data memory. es_in.bin: for each mail the number of bytes of counts, where in the buffer the words will be and
 * how many bytes of them, 32 bits each; what goes in of es_mail_t; the counts. es_out.bin: for each mail the cycles of
 * all its steps, 64 bits, the most bytes of stack that a step took, 32 bits; es_mail_t; the words. Numbers are in the
 * byte order of the host but for mail, counts and words. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <simavr/sim_avr.h>

enum { FIELDS_IN = 20, MAIL_BYTES = 60, STACK_POINTER = 0x5D };

typedef struct places {
    uint32_t wait, step, mail, buffer, stack_bottom;
} places_t;

/* What the steps of a mail cost. */
typedef struct cost {
    uint64_t cycles;
    uint32_t stack;
} cost_t;

static uint32_t stack_pointer(const avr_t *avr)
{
    return avr->data[STACK_POINTER] | (uint32_t)avr->data[STACK_POINTER + 1] << 8;
}

/* Two instructions write the stack pointer, the high byte first; between them it points anywhere. */
static int writes_stack_pointer(const avr_t *avr, unsigned io_register)
{
    const unsigned opcode = avr->flash[avr->pc] | (unsigned)avr->flash[avr->pc + 1] << 8;
    return (opcode & 0xFE0Fu) == (0xBE00u | (io_register & 0xFu)); /* out 0x3., r.. */
}

/* Until the firmware waits for mail; 1 if it does so at last. */
static int run(avr_t *avr, const places_t *at, cost_t *cost)
{
    uint64_t begin = 0;
    uint32_t outside = 0; /* stack pointer after the return of the step that runs; 0 where none does */
    int half_written = 0;

    do {
        uint32_t sp;
        int state;
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
        if (sp + 1 < at->stack_bottom) { /* that of the next free byte */
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
    uint32_t order[3]; /* bytes of counts, offset and bytes of words */

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
    avr->run_cycle_limit = 1; /* one instruction a call */
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
