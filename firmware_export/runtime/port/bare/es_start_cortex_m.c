/* Start code for Cortex-M. */
#include "es_cortex_m.h"
#include "es_mail.h"

/* Emulators report a fault themselves; on a board, a debugger finds the core here. */
void es_fault(void)
{
    for (;;) {
    }
}

void es_start(void)
{
    es_prepare();
    (void)main();
}

extern const es_vector_t es_vectors[ES_VECTORS];

__attribute__((section(".vectors"), used)) const es_vector_t es_vectors[ES_VECTORS] = {ES_FIRST_VECTORS};
