/* CRC-32 as in zlib: polynomial 0xEDB88320, reflected. */
#ifndef ES_CRC_H
#define ES_CRC_H

#include <stdint.h>

#define ES_CRC_START 0xFFFFFFFFu

/* Adds one byte; start with ES_CRC_START. */
static inline uint32_t es_crc_byte(uint32_t crc, uint8_t byte)
{
    unsigned bit;
    crc ^= byte;
    for (bit = 0; bit < 8u; bit++) {
        crc = (crc & 1u) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
    }
    return crc;
}

/* Returns the checksum of all bytes added. */
static inline uint32_t es_crc_end(uint32_t crc)
{
    return crc ^ 0xFFFFFFFFu;
}

#endif
