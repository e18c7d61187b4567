/* On an emulated part: one window between two markers, preprocessing, head and label in it; after one that is not counted,
 * so that nothing is in it that only a start needs. Says how many bytes of the stack the window used. */
#include "count_model.h"
#include "es_semihosting.h"

#define PAINT 0xA5u
#define PAINTED_BYTES 1024u

static COUNT_MEMORY memory;
static volatile int16_t counts[COUNT_CHANNELS];

__attribute__((noinline, used)) void count_begin(void);
__attribute__((noinline, used)) void count_end(void);
int main(void);

void count_begin(void)
{
    __asm__ volatile("nop" ::: "memory");
}

void count_end(void)
{
    __asm__ volatile("nop" ::: "memory");
}

static __attribute__((noinline)) unsigned run_window(es_context_t *context)
{
    unsigned step;
    unsigned labels = 0;
    for (step = 0; step < COUNT_STEPS; step++) {
        labels += es_step(context, (const int16_t *)counts) == ES_LABEL_READY;
    }
    return labels;
}

/* The bytes of the stack below `top`. */
static volatile unsigned char *painted(const void *top)
{
    return (volatile unsigned char *)((uintptr_t)top - PAINTED_BYTES);
}

int main(void)
{
    es_context_t *context;
    unsigned channel, labels, index;
    uint32_t top;
    for (channel = 0; channel < COUNT_CHANNELS; channel++) {
        counts[channel] = (int16_t)(100u * (channel + 1u));
    }
    if (es_init(&COUNT_MODEL, &memory, sizeof memory, &context) != ES_OK) {
        return 1;
    }
    __asm__ volatile("mov %0, sp" : "=r"(top));
    for (index = 0; index < PAINTED_BYTES; index++) {
        painted((const void *)top)[index] = PAINT;
    }
    labels = run_window(context);
    for (index = 0; index < PAINTED_BYTES && painted((const void *)top)[index] == PAINT; index++) {
    }
    count_begin();
    labels += run_window(context);
    count_end();
    es_port_number(PAINTED_BYTES - index);
    return labels == 2 ? 0 : 2;
}
