/* Two slots of flash for models (A/B): a new blob is written to the slot that is not in use, tried, and made valid by the
 * last write. Whenever power is lost, the firmware starts with the old model or with the new one, whole.
 *
 *     es_update_begin(&update, &setup);                 at the start: chooses and tries a model
 *     es_init(update.model, ...);                       the built-in one, or that of a slot
 *     wire_setup.update = &update_port;                 .serve = es_update_serve, .update = &update
 *
 * The host sends blobs with edge-seq device load. A new model runs from the next start on. */
#ifndef ES_UPDATE_H
#define ES_UPDATE_H

#include "es_load.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_SLOT_HEADER 64u       /* bytes of a slot before its blob */
#define ES_SLOT_WRITE_MAX 64u    /* largest write_bytes */
#define ES_UPDATE_ANY_CONTRACT 1 /* flag of a slot: another contract than the firmware's was asked for */

/* Flash, as a board provides it. */
typedef struct es_flash {
    void *port;
    const ES_ROM uint8_t *slots[2]; /* where the slots are read; aligned to ES_BLOB_ALIGNMENT */
    uint32_t slot_bytes;            /* size of a slot, a multiple of page_bytes */
    uint32_t page_bytes;            /* what one erasure clears, a multiple of write_bytes, at least ES_SLOT_HEADER */
    uint32_t write_bytes;           /* what is written at once: a power of two up to ES_SLOT_WRITE_MAX */
    /* Sets a page of a slot to 0xFF. Returns 1, or 0 on an error. */
    int (*erase)(void *port, unsigned slot, uint32_t offset);
    /* Writes write_bytes bytes, once after an erasure, at a multiple of write_bytes. Returns 1, or 0 on an error. */
    int (*write)(void *port, unsigned slot, uint32_t offset, const uint8_t *bytes);
} es_flash_t;

/* Parameters of es_update_begin. They must live as long as the update. */
typedef struct es_update_setup {
    const es_flash_t *flash;
    const es_model_t *model; /* built-in model, contract and golden vectors */
    const es_contract_t *contract;
    const es_golden_t *golden;
    void *loaded[2];         /* memory for es_load, [loaded_bytes] each */
    size_t loaded_bytes;
    void *memory;            /* memory for the self-test; may be that of the context, which is lost then */
    size_t memory_bytes;
    int (*fits)(const es_model_t *model); /* 1 if the firmware's other buffers suffice for a model; or NULL */
} es_update_setup_t;

/* The fields up to `sequence` are for the firmware to read. */
typedef struct es_update {
    const es_model_t *model; /* to run: that of a slot, or the built-in one */
    const es_contract_t *contract;
    const es_golden_t *golden;
    unsigned active;         /* slot in use + 1, or 0 for the built-in model */
    uint32_t sequence;       /* of the slot in use; 0 for the built-in model */
    const es_update_setup_t *setup;
    uint32_t highest;        /* highest sequence number of a slot */
    unsigned target;         /* slot that is written */
} es_update_t;

/* Chooses the model to run: the slot with the highest sequence number that is whole, fits, and passes its self-test;
 * else the other slot; else the built-in model. Returns ES_OK, or ES_ERROR_ARGUMENT. */
es_status_t es_update_begin(es_update_t *update, const es_update_setup_t *setup);

/* Writes bytes of a blob to the slot that is not in use. A page is erased before its first byte is written, so writing
 * begins, or begins again, at offset 0 or where a page of the slot begins, and goes on without gaps.
 *   offset  in the blob, a multiple of write_bytes
 *   count   a multiple of write_bytes, but for the end of the blob
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_SIZE or ES_ERROR_FLASH. */
es_status_t es_update_write(es_update_t *update, uint32_t offset, const uint8_t *bytes, uint32_t count);

/* CRC-32 of bytes of the blob in the slot that is not in use, for a host that goes on after an interruption. Returns 0
 * if there are no such bytes. */
int es_update_check(const es_update_t *update, uint32_t offset, uint32_t count, uint32_t *crc);

/* Tries the blob of `size` bytes in the slot that is not in use: es_load, the firmware's contract, es_self_test. Then
 * writes the slot's header, and the next start uses the model.
 *   flags   0, or ES_UPDATE_ANY_CONTRACT
 *   failed  out, may be NULL: see es_self_test
 * Returns ES_OK, ES_ERROR_SIZE, ES_ERROR_FLASH, or an error of es_load or es_self_test; then nothing changes. */
es_status_t es_update_commit(es_update_t *update, uint32_t size, unsigned flags, es_place_t *failed);

/* Serves the messages of SPEC.md, section 21: es_wire_update_t's serve, with an es_update_t as its first argument. */
unsigned es_update_serve(void *update, uint8_t type, const uint8_t *fields, size_t size, uint8_t *reply, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
