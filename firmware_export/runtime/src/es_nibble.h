/* Dot products of rows whose narrow weights have 4 bits (SPEC.md, section 12). The two words of a row in a quad, as one
 * number of 32 bits shifted left by four, are its words in the next quad, which are not stored. So two quads take the
 * words of one, and the second costs a shift. Of an odd number of quads, the first is alone. */
#ifndef ES_NIBBLE_H
#define ES_NIBBLE_H

#include "edge_seq.h"

/* weights [ceil(quads / 2), 4, 2], operands [4 * quads], accumulators [4] */
const ES_ROM int16_t *es_nibble_rows4(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators);

/* weights [ceil(quads / 2), 3, 2], operands [4 * quads], accumulators [3] */
const ES_ROM int16_t *es_nibble_rows3(const ES_ROM int16_t *weights, const int16_t *operands, uint16_t quads,
                                      int32_t *accumulators);

#endif
