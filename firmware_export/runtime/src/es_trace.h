/* A hook for the host: with ES_TRACE, every gate's pre-activation is shown to a function that the host program has.
 * Without, it is nothing at all; what ships is what is compared first, the traced build only says where. */
#ifndef ES_TRACE_H
#define ES_TRACE_H

#include "edge_seq.h"

#ifdef ES_TRACE
void es_trace_gate(const es_layer_t *layer, unsigned gate, unsigned unit, int32_t value);
#define ES_TRACE_GATE(layer, gate, unit, value) es_trace_gate((layer), (gate), (unit), (value))
#else
#define ES_TRACE_GATE(layer, gate, unit, value) ((void)0)
#endif

#endif
