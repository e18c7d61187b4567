/* A hook for tests on the host. With ES_TRACE, it passes every gate's pre-activation to a function of the host
 * program. Without ES_TRACE, it compiles to nothing. The comparison always checks the build without it first; the
 * traced build only locates a mismatch. */
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
