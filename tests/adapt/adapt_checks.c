/* What firmware can do wrong with a head that learns: every refusal of es_adapt.h, on a model that the test names.
 * Returns the line of the first check that fails, 0 if all hold. */
#include "es_adapt.h"
#include "case.h"

#include <stdio.h>
#include <string.h>

#define CHECK(condition)                        \
    do {                                        \
        if (!(condition)) {                     \
            printf("line %d\n", __LINE__);      \
            return 1;                           \
        }                                       \
    } while (0)

#define MODEL (&case_model)

static case_memory_t memory;
static union {
    es_adapt_t alignment;
    uint8_t bytes[ES_ADAPT_BYTES(4, 64)];
} learning;
static union {
    es_adapt_t alignment;
    uint8_t bytes[ES_ADAPT_BYTES(300, 64)];
} roomy;
static uint8_t saved[ES_ADAPT_SAVED_BYTES(300, 64)];
static uint8_t before[ES_ADAPT_SAVED_BYTES(300, 64)];

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0u; size--) {
        unsigned bit;
        crc ^= *bytes++;
        for (bit = 0; bit < 8u; bit++) {
            crc = (crc & 1u) != 0u ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }
    }
    return crc ^ 0xFFFFFFFFu;
}

static void step_to_label(es_context_t *context)
{
    int16_t counts[64];
    unsigned index;
    for (index = 0; index < 64u; index++) {
        counts[index] = (int16_t)(100u * index);
    }
    while (es_step(context, counts) != ES_LABEL_READY) {
    }
}

/* Sets a byte of what was saved, with a right checksum if asked. Returns what es_adapt_restore says. */
static es_status_t restored_with(es_adapt_t *adapt, size_t at, uint8_t byte, int checksum)
{
    const size_t size = es_adapt_saved_bytes(adapt);
    memcpy(saved, before, size);
    saved[at] = byte;
    if (checksum) {
        const uint32_t crc = crc_of(saved, size - 4u);
        unsigned index;
        for (index = 0; index < 4u; index++) {
            saved[size - 4u + index] = (uint8_t)((crc >> (8u * index)) & 0xFFu);
        }
    }
    return es_adapt_restore(adapt, saved, size);
}

static int check_init(void)
{
    es_adapt_t *adapt;
    es_model_t other = *MODEL;
    es_layer_t wide = MODEL->layers[0];
    const size_t values = es_adapt_values(MODEL);

    CHECK(es_adapt_init(MODEL, &learning, sizeof learning, NULL) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_init(NULL, &learning, sizeof learning, &adapt) == ES_ERROR_ARGUMENT && adapt == NULL);
    CHECK(es_adapt_init(MODEL, NULL, sizeof learning, &adapt) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_init(MODEL, learning.bytes + 1, sizeof learning - 1u, &adapt) == ES_ERROR_ALIGNMENT);
    CHECK(es_adapt_init(MODEL, &learning, ES_ADAPT_BYTES(1, values) - 1u, &adapt) == ES_ERROR_SIZE);
    CHECK(es_adapt_init(MODEL, &learning, ES_ADAPT_BYTES(1, values), &adapt) == ES_OK && adapt->examples == 1u);
    CHECK(es_adapt_init(es_adapt_model(adapt), &roomy, sizeof roomy, &adapt) == ES_ERROR_MODEL);
    CHECK(es_adapt_init(MODEL, &roomy, sizeof roomy, &adapt) == ES_OK && adapt->examples == ES_ADAPT_MAX_EXAMPLES);
    other.abi++;
    CHECK(es_adapt_init(&other, &learning, sizeof learning, &adapt) == ES_ERROR_MODEL);
    other.abi--;
    wide.hidden_size = 1025;
    wide.own_quads = 257;
    other.layers = &wide;
    other.num_layers = 1;
    other.head_quads = 257;
    other.chain = NULL;
    CHECK(es_adapt_values(&other) == 0u);
    CHECK(es_adapt_init(&other, &learning, sizeof learning, &adapt) == ES_ERROR_MODEL);
    other.head_quads = 0; /* as of a head that sees all steps */
    CHECK(es_adapt_values(&other) == 0u);
    return 0;
}

static int check_learning(void)
{
    es_context_t *context;
    es_context_t *plain;
    es_adapt_t *adapt;
    case_memory_t other;
    unsigned lesson;
    uint16_t wrong;
    CHECK(es_adapt_init(MODEL, &learning, sizeof learning, &adapt) == ES_OK);
    CHECK(es_init(es_adapt_model(adapt), &memory, sizeof memory, &context) == ES_OK);
    CHECK(es_init(MODEL, &other, sizeof other, &plain) == ES_OK);
    step_to_label(plain);
    CHECK(es_adapt(NULL, 0) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt(plain, 0) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt(context, MODEL->num_classes) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt(context, 0) == ES_ERROR_STATE);
    step_to_label(context);
    es_reset(context);
    CHECK(es_adapt(context, 0) == ES_ERROR_STATE);
    step_to_label(context);
    wrong = es_label(context) == 0u ? 1u : 0u;
    adapt->next = adapt->examples;
    adapt->next--; /* the last place, behind which the first comes */
    for (lesson = 0; lesson < 30u; lesson++) { /* until the label follows, and further */
        CHECK(es_adapt(context, wrong) == ES_OK && es_adapt(context, wrong) == ES_ERROR_STATE);
        es_reset(context);
        step_to_label(context);
    }
    CHECK(es_label(context) == wrong && es_adapt_samples(adapt) == 30u);
    CHECK(es_adapt_held(adapt) > 0u && es_adapt_held(adapt) <= adapt->examples);
    es_adapt_use(adapt, 0);
    es_reset(context);
    step_to_label(context);
    CHECK(es_adapt_in_use(adapt) == 0 && es_label(context) != wrong);
    adapt->samples = 65534;
    for (lesson = 0; lesson < 3u; lesson++) {
        CHECK(es_adapt(context, wrong) == ES_OK && es_adapt_in_use(adapt) == 1);
        step_to_label(context);
    }
    CHECK(es_adapt_samples(adapt) == 65535u);
    return 0;
}

static int check_saving(void)
{
    es_adapt_t *const adapt = &learning.alignment;
    const size_t size = es_adapt_saved_bytes(adapt);
    const size_t steps = 16u;
    CHECK(es_adapt_save(NULL, saved, size) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_save(adapt, NULL, size) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_save(adapt, saved, size - 1u) == ES_ERROR_SIZE);
    CHECK(es_adapt_save(adapt, before, size) == ES_OK);
    CHECK(es_adapt_restore(NULL, before, size) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_restore(adapt, NULL, size) == ES_ERROR_ARGUMENT);
    CHECK(es_adapt_restore(adapt, before, size - 1u) == ES_ERROR_SIZE);
    CHECK(restored_with(adapt, 20, (uint8_t)(before[20] ^ 1u), 0) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, 0, (uint8_t)(before[0] ^ 1u), 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, 10, (uint8_t)(before[10] ^ 1u), 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, 12, (uint8_t)(before[12] ^ 1u), 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, 14, (uint8_t)adapt->examples, 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, steps + 1u, 0x81, 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, steps + 2u * adapt->examples, (uint8_t)MODEL->num_classes, 1) == ES_ERROR_STATE);
    CHECK(restored_with(adapt, steps + 3u * adapt->examples, (uint8_t)MODEL->num_classes, 1) == ES_ERROR_STATE);
    CHECK(es_adapt_save(adapt, saved, size) == ES_OK && memcmp(saved, before, size) == 0);
    es_adapt_forget(adapt);
    CHECK(es_adapt_held(adapt) == 0u && es_adapt_samples(adapt) == 0u);
    CHECK(restored_with(adapt, size - 5u, before[size - 5u], 1) == ES_OK);
    CHECK(es_adapt_save(adapt, saved, size) == ES_OK && memcmp(saved, before, size) == 0);
    return 0;
}

int main(void)
{
    if (check_init() != 0 || check_learning() != 0 || check_saving() != 0) {
        return 1;
    }
    printf("all hold\n");
    return 0;
}
