/* Runs the fuzzers of fuzz_wire.c and fuzz_state.c in a plain loop with a generator that knows the structure of inputs,
 * for a billion executions: fuzz_loop SEED EXECUTIONS. Prints the executions and the seconds. With a small model, most
 * of the time is the code under test. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LONGEST 96u /* of most inputs */
#define TOO_LONG 330u /* bytes of one frame in some; the device takes 256 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

static uint32_t next(void) /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32);
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(((uint64_t)next() * limit) >> 32);
}

/* Numbers at which something changes, and any others. */
static uint8_t any_byte(void)
{
    static const uint8_t edges[] = {0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 16};
    const uint32_t kind = below(4);
    return kind == 0u ? edges[below(sizeof edges)] : kind == 1u ? (uint8_t)below(16) : (uint8_t)next();
}

#ifdef FUZZ_DECODER
static uint32_t table[256];

static void make_table(void)
{
    uint32_t index;
    for (index = 0; index < 256u; index++) {
        uint32_t crc = index;
        unsigned bit;
        for (bit = 0; bit < 8u; bit++) {
            crc = (crc & 1u) ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }
        table[index] = crc;
    }
}

/* A frame with a valid checksum, COBS, at most 2 bytes longer than its body. Returns its size. */
static size_t frame(uint8_t *out)
{
    uint8_t body[40];
    const size_t fields = below(below(4) == 0u ? 25 : 10);
    size_t size = 4u + fields;
    size_t index;
    size_t at = 1;
    size_t code = 0;
    uint32_t crc = 0xFFFFFFFFu;
    body[0] = below(32) == 0u ? any_byte() : 1u;
    body[1] = below(16) == 0u ? any_byte() : (uint8_t)below(17);
    body[2] = (uint8_t)below(4);
    body[3] = below(8) == 0u ? any_byte() : 0u;
    for (index = 4; index < size; index++) {
        body[index] = any_byte();
    }
    for (index = 0; index < size; index++) {
        crc = table[(crc ^ body[index]) & 0xFFu] ^ (crc >> 8);
    }
    crc ^= 0xFFFFFFFFu;
    for (index = 0; index < 4u; index++) {
        body[size] = (uint8_t)(crc >> (8u * index));
        size++;
    }
    out[0] = 1;
    for (index = 0; index < size; index++) {
        if (body[index] != 0u) {
            out[at] = body[index];
            at++;
            out[code]++;
        } else {
            code = at;
            out[at] = 1;
            at++;
        }
    }
    out[at] = 0;
    return at + 1u;
}

/* One or two frames, whole, changed, cut, or with bytes between them. */
static size_t generate(uint8_t *data)
{
    size_t size = 0;
    uint32_t left;
    for (left = 1u + below(2); left > 0u; left--) {
        const uint32_t kind = below(8);
        if (kind == 0u) {
            const uint8_t set = below(64) == 0u ? 1u : 0u; /* bytes that are never zero: a long frame */
            uint32_t more = below(set != 0u ? TOO_LONG : 12u);
            for (; more > 0u; more--) {
                data[size] = any_byte() | set;
                size++;
            }
        } else {
            const size_t length = frame(data + size);
            if (kind == 1u) {
                data[size + below((uint32_t)length)] ^= (uint8_t)(1u << below(8));
            } else if (kind == 2u) {
                data[size + below((uint32_t)length)] = any_byte();
            }
            size += kind == 3u ? below((uint32_t)length) : length;
        }
    }
    return size;
}
#else
static void make_table(void)
{
}

/* fuzz_wire.c and fuzz_state.c make valid frames and states of any bytes. */
static size_t generate(uint8_t *data)
{
    const size_t size = 2u + below(LONGEST - 2u);
    size_t index;
    for (index = 0; index < size; index++) {
        data[index] = any_byte();
    }
    return size;
}
#endif

int main(int count, char **arguments)
{
    static uint8_t data[2u * TOO_LONG];
    unsigned long long executions;
    unsigned long long done;
    clock_t began;
    if (count != 3) {
        return 2;
    }
    state = 88172645463325252u ^ strtoull(arguments[1], NULL, 10) * 0x9E3779B97F4A7C15u;
    state = state == 0u ? 1u : state;
    executions = strtoull(arguments[2], NULL, 10);
    make_table();
    began = clock();
    for (done = 0; done < executions; done++) {
        (void)LLVMFuzzerTestOneInput(data, generate(data));
    }
    printf("%llu executions, %.1f s\n", done, (double)(clock() - began) / CLOCKS_PER_SEC);
    return 0;
}
