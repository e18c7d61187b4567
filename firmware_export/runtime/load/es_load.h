/* Models that are not compiled into the firmware: a blob (edge-seq export --blob) holds the constants, and is used where
 * it lies, in flash or RAM. SPEC.md, section 20, defines its bytes.
 *
 *     static union { void *alignment; uint8_t bytes[2000]; } memory;      es_load_bytes tells the size
 *     const es_loaded_t *loaded;
 *     if (es_load(blob, size, &car_expected, &memory, sizeof memory, &loaded) != ES_OK) { ... }
 *     if (es_self_test(&loaded->golden, &context_memory, sizeof context_memory, NULL) != ES_OK) { ... }
 *     es_init(&loaded->model, &context_memory, sizeof context_memory, &context);
 *
 * es_load checks the checksum and every number, so no blob makes it, or a model that it returns, read or write outside
 * its memory. It does not prove the ranges of a model: weights that somebody made up can give meaningless results, so
 * take blobs from a source that you trust, or check their signature (edge-seq sign). */
#ifndef ES_LOAD_H
#define ES_LOAD_H

#include "edge_seq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_BLOB_VERSION 1u
#define ES_BLOB_HEADER 64u              /* bytes before the numbers */
#define ES_BLOB_ALIGNMENT 4u            /* of a blob's first byte */
#define ES_BLOB_MAX ((uint32_t)1 << 24) /* largest blob, bytes */

/* Kinds of layers that the firmware can load, each with the step functions that it links. Define ES_LOAD_KINDS to the
 * sum of those that your models have; es_load refuses the others with ES_ERROR_MODEL. */
#define ES_LOAD_RNN 1u
#define ES_LOAD_GRU 2u
#define ES_LOAD_LSTM 4u
#define ES_LOAD_FASTGRNN 8u
#define ES_LOAD_FRONT 16u /* convolutions and pools over time */
#define ES_LOAD_DENSE 32u
#define ES_LOAD_FLATTEN 64u /* rows that see the states of all steps of a window */
#define ES_LOAD_BOTH 128u /* bidirectional layers */
#define ES_LOAD_NIBBLES 256u /* recurrent layers with weights of 4 bits, of the kinds above */
#ifndef ES_LOAD_KINDS
#define ES_LOAD_KINDS 511u
#endif

/* A loaded model; es_load places it, and the arrays that it points to, in the caller's memory. */
typedef struct es_loaded {
    es_model_t model;
    es_contract_t contract;
    es_constants_t constants;
    es_golden_t golden;
    es_chain_t chain;
    es_decision_t decision;
    es_distance_t distance;
    es_both_t both;
} es_loaded_t;

/* What a firmware relies on: a blob must have the same sample rate, channels and labels. */
typedef struct es_expected {
    const es_model_t *model;
    const es_contract_t *contract;
} es_expected_t;

/* Bytes of memory that es_load needs for a blob, or 0 if the bytes do not begin as a blob does. */
size_t es_load_bytes(const ES_ROM uint8_t *blob, size_t size);

/* Loads a blob. Constants stay in the blob, so it must live as long as the model, unchanged, and be read with ES_ROM.
 *   blob      its first byte is aligned to ES_BLOB_ALIGNMENT
 *   expected  the contract that it must have, or NULL to take any
 *   memory    es_load_bytes(blob, size) bytes, aligned to a pointer; must live as long as the model
 *   loaded    out: the model, or NULL on an error
 * Returns ES_OK or:
 *   ES_ERROR_ARGUMENT    a pointer is NULL
 *   ES_ERROR_BLOB        not a blob, or damaged, cut, or with a number that cannot be
 *   ES_ERROR_BYTE_ORDER  the blob was made for processors with the other byte order
 *   ES_ERROR_MODEL       the blob is of another version, or has a kind of layer that is not in ES_LOAD_KINDS
 *   ES_ERROR_CONTRACT    its sample rate, channels or labels are not the expected ones
 *   ES_ERROR_ALIGNMENT   blob or memory is not aligned
 *   ES_ERROR_SIZE        the memory is too small
 * Run es_self_test on the golden vectors before the model is used: it tries the whole way from blob to label. */
es_status_t es_load(const ES_ROM uint8_t *blob, size_t size, const es_expected_t *expected, void *memory, size_t bytes,
                    const es_loaded_t **loaded);

#ifdef __cplusplus
}
#endif

#endif
