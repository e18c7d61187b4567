/* For emulators whose memory is not accessible: the firmware reads orders from the file es_in.bin and writes
 * answers to es_out.bin, by Arm's semihosting calls (the same on RISC-V) or the simulator calls of Xtensa.
 *
 * es_in.bin, for each order: the input fields of es_mail_t, the size of the counts in bytes (32 bits), and the
 * counts. es_out.bin, for each order: es_mail_t and the words. At the end of the input, the firmware tells the
 * emulator to stop. */
#include "es_mail.h"

static uintptr_t harness_input;
static uintptr_t harness_output;
static uint32_t harness_is_open;

#if defined(__xtensa__)

enum { EXIT = 1, READ = 3, WRITE = 4, OPEN = 5, READ_BINARY = 0, WRITE_BINARY = 1 };

static uintptr_t simulator_call(uintptr_t operation, uintptr_t first, uintptr_t second, uintptr_t third)
{
    register uintptr_t a2 __asm__("a2") = operation;
    register uintptr_t a3 __asm__("a3") = first;
    register uintptr_t a4 __asm__("a4") = second;
    register uintptr_t a5 __asm__("a5") = third;
    __asm__ volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

/* The emulator does not create files: es_out.bin is there. */
static uintptr_t harness_open(const char *name, uintptr_t length, uintptr_t mode)
{
    (void)length;
    return simulator_call(OPEN, (uintptr_t)name, mode, 0);
}

/* Returns 1 if all bytes were read. */
static int harness_read(void *to, uint32_t bytes)
{
    return bytes == 0 || simulator_call(READ, harness_input, (uintptr_t)to, bytes) == bytes;
}

static void harness_write(const void *from, uint32_t bytes)
{
    if (bytes != 0) {
        (void)simulator_call(WRITE, harness_output, (uintptr_t)from, bytes);
    }
}

static void harness_exit(void)
{
    (void)simulator_call(EXIT, 0, 0, 0);
}

#else

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06, EXIT = 0x18, READ_BINARY = 1, WRITE_BINARY = 5 };
#define APPLICATION_EXIT 0x20026u

#if defined(__arm__)
static uintptr_t semihost(uintptr_t operation, const void *block)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#elif defined(__riscv)
static uintptr_t semihost(uintptr_t operation, const void *block)
{
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = block;
    /* The three instructions must be one word each, on one page. Align before norvc, as the linker pads with short
     * instructions. */
    __asm__ volatile(".balign 16\n\t.option push\n\t.option norvc\n\t"
                     "slli x0, x0, 0x1f\n\tebreak\n\tsrai x0, x0, 7\n\t.option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}
#else
#error "semihosting is not known here"
#endif

static uintptr_t harness_open(const char *name, uintptr_t length, uintptr_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)name, mode, length};
    return semihost(OPEN, block);
}

/* Returns 1 if all bytes were read. */
static int harness_read(void *to, uint32_t bytes)
{
    const uintptr_t block[3] = {harness_input, (uintptr_t)to, bytes};
    return bytes == 0 || semihost(READ, block) == 0;
}

static void harness_write(const void *from, uint32_t bytes)
{
    const uintptr_t block[3] = {harness_output, (uintptr_t)from, bytes};
    if (bytes != 0) {
        (void)semihost(WRITE, block);
    }
}

static void harness_exit(void)
{
    (void)semihost(EXIT, (const void *)(uintptr_t)APPLICATION_EXIT);
}

#endif

static void harness_deliver(void)
{
    const uint32_t first = (es_mail.steps * es_image_models[es_mail.model]->num_channels + 1u) / 2u;
    harness_write(&es_mail, sizeof es_mail);
    if (es_mail.keep && es_mail.status == (uint32_t)ES_OK) {
        harness_write(es_mail_buffer.words + first, 4u * es_mail.steps * es_mail.row_words);
    }
}

void es_mail_wait(void)
{
    uint32_t bytes;
    if (harness_is_open) {
        harness_deliver();
    } else {
        harness_input = harness_open("es_in.bin", 9, READ_BINARY);
        harness_output = harness_open("es_out.bin", 10, WRITE_BINARY);
        harness_is_open = 1;
    }
    if (harness_read(&es_mail, offsetof(es_mail_t, status)) && harness_read(&bytes, sizeof bytes) &&
        harness_read(es_mail_buffer.counts, bytes)) {
        return;
    }
    harness_exit();
    for (;;) {
    }
}
