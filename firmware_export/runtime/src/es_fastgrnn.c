#include "es_kernel.h"
#include "edge_seq.h"
#include "es_rows.h"
#include "es_units.h"

#if ES_KERNEL == ES_KERNEL_PLAIN /* else a file of the kernel defines the step, as es_fastgrnn_neon.c does */

void es_fastgrnn_step(const es_layer_t *layer, const int16_t *below, int16_t *state, int16_t *scratch)
{
    es_fastgrnn_run(layer, below, state, scratch, es_rows4_block);
}
#endif
