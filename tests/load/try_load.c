/* Loads blobs as a firmware does, each with everything that a caller can get wrong.
 *
 *     try_load CASES     prints es_load's status for each case, a line each
 *
 * A case is a blob, and a blob whose contract it must have or none; before each stands its size, 4 bytes little-endian. */
#include "es_load.h"

#include <stdio.h>
#include <string.h>

#define MOST (1u << 20)

typedef union place {
    es_loaded_t aligned;
    uint64_t also;
    uint8_t bytes[MOST];
} place_t;

/* Reads a blob with its size. Returns 0 at the end of the file, or if it is too large. */
static int read_blob(FILE *file, place_t *blob, size_t *size)
{
    uint8_t head[4];
    if (fread(head, 1, sizeof head, file) != sizeof head) {
        return 0;
    }
    *size = (size_t)head[0] | ((size_t)head[1] << 8) | ((size_t)head[2] << 16) | ((size_t)head[3] << 24);
    return *size <= MOST && fread(blob->bytes, 1, *size, file) == *size ? 1 : 0;
}

/* 1 if every wrong call of a caller is refused with its status. */
static int wrong_calls_are_refused(const uint8_t *blob, size_t size, uint8_t *memory, size_t bytes)
{
    const es_loaded_t *loaded;
    es_model_t model;
    es_contract_t contract;
    es_expected_t half;
    const size_t room = es_load_bytes(blob, size);
    int refused;
    memset(&model, 0, sizeof model);
    memset(&contract, 0, sizeof contract);
    half.model = NULL;
    half.contract = NULL;
    refused = es_load(blob, size, NULL, memory, bytes, NULL) == ES_ERROR_ARGUMENT;
    refused &= es_load(NULL, size, NULL, memory, bytes, &loaded) == ES_ERROR_ARGUMENT;
    refused &= es_load(blob, size, NULL, NULL, bytes, &loaded) == ES_ERROR_ARGUMENT;
    refused &= es_load(blob, size, &half, memory, bytes, &loaded) == ES_ERROR_ARGUMENT;
    half.model = &model;
    refused &= es_load(blob, size, &half, memory, bytes, &loaded) == ES_ERROR_ARGUMENT;
    half.model = NULL;
    half.contract = &contract;
    refused &= es_load(blob, size, &half, memory, bytes, &loaded) == ES_ERROR_ARGUMENT;
    refused &= es_load(blob + 1, size, NULL, memory, bytes, &loaded) == ES_ERROR_ALIGNMENT;
    refused &= es_load(blob, size, NULL, memory + 1, bytes, &loaded) == ES_ERROR_ALIGNMENT;
    refused &= es_load(blob, (size_t)ES_BLOB_MAX + 4u, NULL, memory, bytes, &loaded) == ES_ERROR_BLOB;
    refused &= es_load_bytes(NULL, size) == 0u;
    if (es_load(blob, size, NULL, memory, bytes, &loaded) == ES_OK) {
        refused &= room != 0u && es_load(blob, size, NULL, memory, room - 1u, &loaded) == ES_ERROR_SIZE;
    }
    return refused;
}

int main(int argc, char **argv)
{
    static place_t blob;
    static place_t memory;
    static place_t expected;
    static place_t expected_memory;
    size_t size;
    size_t expected_size;
    FILE *const file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        return 2;
    }
    while (read_blob(file, &blob, &size) != 0 && read_blob(file, &expected, &expected_size) != 0) {
        const es_loaded_t *loaded;
        const es_loaded_t *other;
        es_expected_t contract;
        if (wrong_calls_are_refused(blob.bytes, size, memory.bytes, sizeof memory.bytes) == 0) {
            return 3;
        }
        if (expected_size != 0u) {
            if (es_load(expected.bytes, expected_size, NULL, expected_memory.bytes, sizeof expected_memory.bytes,
                        &other) != ES_OK) {
                return 4;
            }
            contract.model = &other->model;
            contract.contract = &other->contract;
        }
        printf("%d\n", (int)es_load(blob.bytes, size, expected_size != 0u ? &contract : NULL, memory.bytes,
                                    sizeof memory.bytes, &loaded));
    }
    (void)fclose(file);
    return 0;
}
