/* Pooling and head (SPEC.md, section 8). */
#ifndef ES_HEAD_H
#define ES_HEAD_H

#include "edge_seq.h"

/* Logits and label of the pooled operands [4 * head_quads], written to the context. */
void es_head_step(es_context_t *context, const int16_t *pooled);

#endif
