/* Every model's self-test on a machine whose high bytes come first. */
#include "cases.h"

void *memset(void *to, int value, size_t count);
void *memset(void *to, int value, size_t count)
{
    volatile unsigned char *at = to; /* volatile, or this loop becomes a call of itself */
    for (; count > 0; count--) {
        *at++ = (unsigned char)value;
    }
    return to;
}

static void put_text(const char *text)
{
    volatile unsigned char *const serial_port = (volatile unsigned char *)0x09000000;
    for (; *text; text++) {
        *serial_port = (unsigned char)*text;
    }
}

static union {
    es_context_t alignment;
    unsigned char bytes[4096];
} memory;

int main(void)
{
    const uint16_t probe = 1;
    unsigned index;

    put_text(*(const unsigned char *)&probe == 0 ? "big-endian\n" : "little-endian\n");
    for (index = 0; index < es_num_cases; index++) {
        const es_status_t status = es_self_test(es_cases[index].golden, &memory, sizeof memory, NULL);
        put_text(es_cases[index].name);
        put_text(": ");
        put_text(es_status_text(status));
        put_text("\n");
    }
    return 0;
}
