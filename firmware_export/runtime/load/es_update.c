/* Two slots of flash for models (SPEC.md, section 21). A slot's header is written last and has a checksum of its own. */
#include "es_update.h"

#include "es_crc.h"

#define HEADER_CRC_AT 20u /* magic, sequence number, size, CRC of the blob, flags; then the header's CRC */
#define HEADER_BYTES 24u

/* Messages and refusals of the wire (es_wire.c). */
enum { MODEL_STATUS = 0x10, MODEL_WRITE = 0x11, MODEL_CHECK = 0x12, MODEL_COMMIT = 0x13 };
enum { NONE = 0, LENGTH = 5, VALUE = 6 };

typedef struct slot {
    uint32_t sequence; /* 0: the slot has no valid header */
    uint32_t size;
    uint32_t crc;
    uint32_t flags;
} slot_t;

static const uint8_t magic[4] = {0x45, 0x53, 0x53, 0x4C}; /* ESSL */

static uint8_t flash_byte(const ES_ROM uint8_t *at)
{
    return (uint8_t)ES_ROM_INT8((const ES_ROM int8_t *)at);
}

static uint32_t get32(const ES_ROM uint8_t *at)
{
    return (uint32_t)flash_byte(at) | ((uint32_t)flash_byte(at + 1) << 8) | ((uint32_t)flash_byte(at + 2) << 16) |
           ((uint32_t)flash_byte(at + 3) << 24);
}

static void put32(uint8_t *at, uint32_t value)
{
    unsigned index;
    for (index = 0; index < 4u; index++) {
        at[index] = (uint8_t)((value >> (8u * index)) & 0xFFu);
    }
}

static uint32_t crc_of(const ES_ROM uint8_t *bytes, uint32_t size)
{
    const ES_ROM uint8_t *at = bytes;
    uint32_t left = size;
    uint32_t crc = ES_CRC_START;
    for (; left > 0u; left--) {
        crc = es_crc_byte(crc, flash_byte(at));
        at++;
    }
    return es_crc_end(crc);
}

/* CRC of a header that is being made, which is in RAM: on AVR that is another address space. */
static uint32_t header_crc(const uint8_t *bytes)
{
    uint32_t crc = ES_CRC_START;
    unsigned index;
    for (index = 0; index < HEADER_CRC_AT; index++) {
        crc = es_crc_byte(crc, bytes[index]);
    }
    return es_crc_end(crc);
}

/* Bytes of a blob that fit a slot. */
static uint32_t room(const es_update_t *update)
{
    return update->setup->flash->slot_bytes - ES_SLOT_HEADER;
}

static slot_t read_slot(const es_update_t *update, unsigned slot)
{
    const ES_ROM uint8_t *const header = update->setup->flash->slots[slot];
    slot_t found = {0, 0, 0, 0};
    unsigned index;
    for (index = 0; index < sizeof magic; index++) {
        if (flash_byte(header + index) != magic[index]) {
            return found;
        }
    }
    if (get32(header + HEADER_CRC_AT) == crc_of(header, HEADER_CRC_AT) && get32(header + 8) <= room(update)) {
        found.sequence = get32(header + 4);
        found.size = get32(header + 8);
        found.crc = get32(header + 12);
        found.flags = get32(header + 16);
    }
    return found;
}

/* Loads and tries the blob in a slot. */
static es_status_t try_slot(const es_update_t *update, unsigned slot, uint32_t size, uint32_t flags, unsigned place,
                            const es_loaded_t **loaded, es_place_t *failed)
{
    const es_update_setup_t *const setup = update->setup;
    void *const loaded_memory = setup->loaded[place];
    void *const memory = setup->memory;
    es_expected_t expected;
    es_status_t status;
    expected.model = setup->model;
    expected.contract = setup->contract;
    status = es_load(setup->flash->slots[slot] + ES_SLOT_HEADER, (size_t)size,
                     (flags & (unsigned)ES_UPDATE_ANY_CONTRACT) != 0u ? NULL : &expected, loaded_memory,
                     setup->loaded_bytes, loaded);
    if (status == ES_OK && setup->fits != NULL && setup->fits(&(*loaded)->model) == 0) {
        status = ES_ERROR_SIZE;
    }
    if (status == ES_OK) {
        status = es_self_test(&(*loaded)->golden, memory, setup->memory_bytes, failed);
    }
    return status;
}

/* Uses a slot if it holds a model that passes. Returns 1 then. */
static int use_slot(es_update_t *update, unsigned slot, const slot_t *header)
{
    const ES_ROM uint8_t *const blob = update->setup->flash->slots[slot] + ES_SLOT_HEADER;
    const es_loaded_t *loaded = NULL;
    if (header->sequence == 0u || crc_of(blob, header->size) != header->crc ||
        try_slot(update, slot, header->size, header->flags, 0, &loaded, NULL) != ES_OK) {
        return 0;
    }
    update->model = &loaded->model;
    update->contract = &loaded->contract;
    update->golden = &loaded->golden;
    update->active = slot + 1u;
    update->sequence = header->sequence;
    return 1;
}

static int flash_is_usable(const es_flash_t *flash)
{
    const uint32_t unit = flash->write_bytes;
    return flash->slots[0] != NULL && flash->slots[1] != NULL && unit != 0u && unit <= ES_SLOT_WRITE_MAX &&
                   (unit & (unit - 1u)) == 0u && flash->page_bytes >= ES_SLOT_HEADER &&
                   flash->page_bytes % unit == 0u && flash->slot_bytes >= flash->page_bytes &&
                   flash->slot_bytes % flash->page_bytes == 0u && flash->erase != NULL && flash->write != NULL
               ? 1
               : 0;
}

es_status_t es_update_begin(es_update_t *update, const es_update_setup_t *setup)
{
    slot_t slots[2];
    uint8_t newer;

    if (update == NULL || setup == NULL || setup->flash == NULL || setup->model == NULL || setup->contract == NULL ||
        setup->golden == NULL || setup->loaded[0] == NULL || setup->loaded[1] == NULL || setup->memory == NULL ||
        flash_is_usable(setup->flash) == 0) {
        return ES_ERROR_ARGUMENT;
    }
    update->setup = setup;
    update->model = setup->model;
    update->contract = setup->contract;
    update->golden = setup->golden;
    update->active = 0;
    update->sequence = 0;
    slots[0] = read_slot(update, 0);
    slots[1] = read_slot(update, 1);
    newer = slots[1].sequence > slots[0].sequence ? 1u : 0u;
    update->highest = slots[newer].sequence;
    if (use_slot(update, newer, &slots[newer]) == 0) {
        (void)use_slot(update, 1u - newer, &slots[1u - newer]);
    }
    /* Never the slot in use; without one, the slot that did not pass or is older. */
    update->target = update->active != 0u ? 2u - update->active : 1u - newer;
    return ES_OK;
}

/* Writes the bytes of one write unit, filled up with 0xFF, and reads them back. */
static int write_unit(const es_update_t *update, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const es_flash_t *const flash = update->setup->flash;
    const ES_ROM uint8_t *const there = flash->slots[update->target] + offset;
    uint8_t unit[ES_SLOT_WRITE_MAX];
    uint32_t index;
    for (index = 0; index < flash->write_bytes; index++) {
        unit[index] = index < count ? bytes[index] : 0xFFu;
    }
    if (flash->write(flash->port, update->target, offset, unit) == 0) {
        return 0;
    }
    for (index = 0; index < flash->write_bytes; index++) {
        if (flash_byte(there + index) != unit[index]) {
            return 0;
        }
    }
    return 1;
}

es_status_t es_update_write(es_update_t *update, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const es_flash_t *const flash = update->setup->flash;
    const uint32_t unit = flash->write_bytes;
    uint32_t done = 0;

    if (bytes == NULL || count == 0u || offset % unit != 0u) {
        return ES_ERROR_ARGUMENT;
    }
    if (offset > room(update) || count > room(update) - offset) {
        return ES_ERROR_SIZE;
    }
    while (done < count) {
        const uint32_t at = ES_SLOT_HEADER + offset + done;
        const uint32_t left = count - done;
        if (offset + done == 0u && flash->erase(flash->port, update->target, 0) == 0) {
            return ES_ERROR_FLASH;
        }
        if (at % flash->page_bytes == 0u && flash->erase(flash->port, update->target, at) == 0) {
            return ES_ERROR_FLASH;
        }
        if (write_unit(update, at, bytes + done, left < unit ? left : unit) == 0) {
            return ES_ERROR_FLASH;
        }
        done += unit;
    }
    return ES_OK;
}

int es_update_check(const es_update_t *update, uint32_t offset, uint32_t count, uint32_t *crc)
{
    if (offset > room(update) || count > room(update) - offset) {
        return 0;
    }
    *crc = crc_of(update->setup->flash->slots[update->target] + ES_SLOT_HEADER + offset, count);
    return 1;
}

es_status_t es_update_commit(es_update_t *update, uint32_t size, unsigned flags, es_place_t *failed)
{
    const es_flash_t *const flash = update->setup->flash;
    const ES_ROM uint8_t *const header = flash->slots[update->target];
    const es_loaded_t *loaded;
    uint8_t bytes[ES_SLOT_HEADER];
    es_status_t status;
    uint32_t crc;
    uint32_t index;

    if (es_update_check(update, 0, size, &crc) == 0) {
        return ES_ERROR_SIZE;
    }
    for (index = 0; index < ES_SLOT_HEADER; index++) {
        bytes[index] = 0xFF;
        if (flash_byte(header + index) != 0xFFu) {
            return ES_ERROR_FLASH; /* the blob was not written from its beginning on */
        }
    }
    status = try_slot(update, update->target, size, flags, 1, &loaded, failed);
    if (status != ES_OK) {
        return status;
    }
    for (index = 0; index < sizeof magic; index++) {
        bytes[index] = magic[index];
    }
    put32(bytes + 4, update->highest + 1u);
    put32(bytes + 8, size);
    put32(bytes + 12, crc);
    put32(bytes + 16, flags);
    put32(bytes + HEADER_CRC_AT, header_crc(bytes));
    for (index = 0; index < HEADER_BYTES; index += flash->write_bytes) {
        if (write_unit(update, index, bytes + index, flash->write_bytes) == 0) {
            return ES_ERROR_FLASH;
        }
    }
    update->highest++;
    return ES_OK;
}

/* --------------------------------------------------------------------------------------------------------- messages */

static size_t serve_status(const es_update_t *update, uint8_t *reply)
{
    const es_flash_t *const flash = update->setup->flash;
    reply[0] = (uint8_t)update->active;
    put32(reply + 1, update->sequence);
    put32(reply + 5, room(update));
    put32(reply + 9, flash->page_bytes);
    put32(reply + 13, flash->write_bytes);
    return 17;
}

static uint32_t field32(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

unsigned es_update_serve(void *update, uint8_t type, const uint8_t *fields, size_t size, uint8_t *reply, size_t *count)
{
    es_update_t *const self = update;
    es_place_t failed = {0, 0};
    uint32_t crc;
    es_status_t status;

    switch (type) {
    case MODEL_STATUS:
        *count = serve_status(self, reply);
        return size == 0u ? NONE : LENGTH;
    case MODEL_WRITE:
        if (size < 5u) {
            return LENGTH;
        }
        status = es_update_write(self, field32(fields), fields + 4, (uint32_t)size - 4u);
        reply[0] = (uint8_t)status;
        *count = 1;
        return NONE;
    case MODEL_CHECK:
        if (size != 8u) {
            return LENGTH;
        }
        if (es_update_check(self, field32(fields), field32(fields + 4), &crc) == 0) {
            return VALUE;
        }
        put32(reply, crc);
        *count = 4;
        return NONE;
    default:
        if (size != 5u) {
            return LENGTH;
        }
        status = es_update_commit(self, field32(fields), fields[4], &failed);
        reply[0] = (uint8_t)status;
        put32(reply + 1, (uint32_t)failed.window | ((uint32_t)failed.step << 16));
        *count = 5;
        return NONE;
    }
}
