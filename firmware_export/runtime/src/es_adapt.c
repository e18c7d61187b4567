/* A head that learns on the device (SPEC.md, section 24). A stage of its own takes the place of the decision stage: it
 * adds the correction to the logits, and then runs the factory's stage if there is one. */
#include "es_adapt.h"

#include "es_crc.h"
#include "es_fixed.h"
#include "es_head.h"
#include "es_operands.h"

#define LOGIT_LIMIT ((int32_t)0x3FFFFFFF) /* the difference of two fits 32 bits */
#define MARGIN ((int32_t)0x10000)         /* lead that the right class should have: 1 logit, Q16 */
#define STEP_LIMIT ((int32_t)0x8000)      /* of an example: 1 logit, Q15 */
#define HASH_PREFIX 8u
#define HEADER_BYTES 16u
#define CRC_BYTES 4u

/* ------------------------------------------------------------------------------------------------------- logits */

/* The layer whose units the head sees. */
static const es_layer_t *last_layer(const es_model_t *model)
{
    if (model->chain != NULL && model->chain->num_dense != 0u) {
        return &model->chain->dense[model->chain->num_dense - 1u];
    }
    return &model->layers[es_num_layers(model) - 1u];
}

uint16_t es_adapt_values(const es_model_t *model)
{
    const es_layer_t *const last = last_layer(model);
    uint32_t values = 0;
    unsigned quads;
    for (quads = 0; quads < model->head_quads; quads += last->own_quads) { /* mean and largest value, both directions */
        values += last->hidden_size;
    }
    /* Without head_quads the head sees all steps of a window, which are not kept. */
    return values <= ES_ADAPT_MAX_VALUES && model->head_quads != 0u ? (uint16_t)values : 0u;
}

/* Keeps what the head saw, in Q7 and without padding. */
static void keep_seen(const es_context_t *context, const es_adapt_t *adapt)
{
    const es_model_t *const model = context->model;
    const es_layer_t *const last = last_layer(model);
    const int16_t *operands = es_head_sees(context);
    const int16_t *const end = operands + (size_t)ES_QUAD * model->head_quads;
    int8_t *seen = adapt->seen;

    for (; operands != end; operands += ES_QUAD * last->own_quads) {
        unsigned unit;
        for (unit = 0; unit < last->hidden_size; unit++) {
            /* -128 .. 128, so only its upper end does not fit */
            const int32_t value = es_is_coarse(unit) ? (int32_t)operands[unit] : es_round_shift(operands[unit], 8);
            seen[unit] = (int8_t)(value > INT8_MAX ? INT8_MAX : value);
        }
        seen += last->hidden_size;
    }
}

/* L1 distance of what the head saw from an example; at most 1024 times 255. */
static int32_t distance(const es_adapt_t *adapt, unsigned example)
{
    const int8_t *const place = adapt->places + (size_t)example * adapt->values;
    int32_t sum = 0;
    unsigned index;
    for (index = 0; index < adapt->values; index++) {
        const int32_t gap = (int32_t)place[index] - adapt->seen[index];
        sum += gap < 0 ? -gap : gap;
    }
    return sum;
}

/* Corrects the logits and the label. A step is at most 2^15 and a closeness at most 2^14, so a change is at most 2^16,
 * and that of all 255 examples is below 2^24. A logit is below 2^30 because a multiplier is below 2^15. */
static void correct(es_context_t *context, const es_adapt_t *adapt)
{
    const int32_t radius = es_power2(adapt->radius_shift);
    int32_t *const logits = context->logits;
    unsigned label = 0;
    unsigned index;
    for (index = 0; index < adapt->examples; index++) {
        const int32_t step = (int32_t)adapt->steps[index];
        if (step != 0) {
            const int32_t far = distance(adapt, index);
            const int32_t closeness = far < radius ? radius - far : 0;
            const int32_t change = es_shift_right(step * closeness, adapt->radius_shift - 1u);
            logits[adapt->labels[index]] += change;
            logits[adapt->rivals[index]] -= change;
        }
    }
    for (index = 0; index < context->model->num_classes; index++) {
        const int32_t logit = logits[index];
        logits[index] = logit > LOGIT_LIMIT ? LOGIT_LIMIT : logit < -LOGIT_LIMIT ? -LOGIT_LIMIT : logit;
        if (logits[index] > logits[label]) {
            label = index;
        }
    }
    context->label = (uint16_t)label;
}

/* The stage of the model with a head that learns. */
static void adapted_step(es_context_t *context)
{
    es_adapt_t *const adapt = context->model->decision->adapt;
    keep_seen(context, adapt);
    if (adapt->in_use != 0u) {
        correct(context, adapt);
    }
    if (adapt->factory->decision != NULL) {
        adapt->factory->decision->step(context);
    }
    adapt->ready = context;
}

/* ------------------------------------------------------------------------------------------------------- learning */

/* The class other than `label` with the largest logit; of equal ones the lowest. */
static unsigned rival_of(const es_context_t *context, unsigned label)
{
    unsigned rival = 0;
    unsigned k;
    if (label == 0u) {
        rival = 1;
    }
    for (k = rival + 1u; k < context->model->num_classes; k++) {
        if (k != label && context->logits[k] > context->logits[rival]) {
            rival = k;
        }
    }
    return rival;
}

/* Puts an example in place of the oldest one. */
static void remember(es_adapt_t *adapt, unsigned label, unsigned rival, int32_t step)
{
    int8_t *const place = adapt->places + (size_t)adapt->next * adapt->values;
    unsigned index;
    for (index = 0; index < adapt->values; index++) {
        place[index] = adapt->seen[index];
    }
    adapt->labels[adapt->next] = (uint8_t)label;
    adapt->rivals[adapt->next] = (uint8_t)rival;
    adapt->steps[adapt->next] = (uint16_t)step;
    adapt->next++;
    if (adapt->next == adapt->examples) {
        adapt->next = 0;
    }
}

es_status_t es_adapt(es_context_t *context, uint16_t label)
{
    es_adapt_t *adapt;
    unsigned rival;
    int32_t lead;

    if (context == NULL || context->model->decision == NULL || context->model->decision->adapt == NULL ||
        label >= context->model->num_classes) {
        return ES_ERROR_ARGUMENT;
    }
    adapt = context->model->decision->adapt;
    if (adapt->ready != context || context->label == ES_NO_LABEL) {
        return ES_ERROR_STATE;
    }
    rival = rival_of(context, label);
    lead = context->logits[label] - context->logits[rival]; /* logits are below 2^30 in magnitude, so it fits */
    if (lead < MARGIN) {
        /* The step that gives the lead, as it counts twice; Q15. A lead this far behind wants more than the limit. */
        const int32_t step = (MARGIN - (lead < -2 * MARGIN ? -2 * MARGIN : lead)) / 4;
        if (step > 0) {
            remember(adapt, label, rival, step < STEP_LIMIT ? step : STEP_LIMIT);
        }
    }
    adapt->ready = NULL;
    adapt->in_use = 1;
    if (adapt->samples < UINT16_MAX) {
        adapt->samples++;
    }
    return ES_OK;
}

void es_adapt_use(es_adapt_t *adapt, int learned)
{
    adapt->in_use = 0;
    if (learned != 0) {
        adapt->in_use = 1;
    }
}

int es_adapt_in_use(const es_adapt_t *adapt)
{
    return (int)adapt->in_use;
}

uint16_t es_adapt_samples(const es_adapt_t *adapt)
{
    return adapt->samples;
}

uint16_t es_adapt_held(const es_adapt_t *adapt)
{
    uint16_t held = 0;
    unsigned index;
    for (index = 0; index < adapt->examples; index++) {
        if (adapt->steps[index] != 0u) {
            held++;
        }
    }
    return held;
}

void es_adapt_forget(es_adapt_t *adapt)
{
    const size_t numbers = (size_t)adapt->examples * adapt->values;
    size_t index;
    for (index = 0; index < adapt->examples; index++) {
        adapt->steps[index] = 0;
        adapt->labels[index] = 0;
        adapt->rivals[index] = 0;
    }
    for (index = 0; index < numbers; index++) {
        adapt->places[index] = 0;
    }
    adapt->next = 0;
    adapt->samples = 0;
}

/* ---------------------------------------------------------------------------------------------------------- start */

size_t es_adapt_saved_bytes(const es_adapt_t *adapt)
{
    return ES_ADAPT_SAVED_BYTES(adapt->examples, adapt->values);
}

struct es_adapt_alignment {
    char byte;
    es_adapt_t adapt;
};

es_status_t es_adapt_init(const es_model_t *model, void *memory, size_t bytes, es_adapt_t **adapt)
{
    static const es_decision_t none = {0};
    const uintptr_t alignment = offsetof(struct es_adapt_alignment, adapt);
    es_adapt_t *made;
    uint16_t values;
    size_t examples;

    if (adapt == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    *adapt = NULL;
    if (model == NULL || memory == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    if (model->abi != ES_ABI || es_adapt_values(model) == 0u ||
        (model->decision != NULL && model->decision->adapt != NULL)) {
        return ES_ERROR_MODEL;
    }
    if ((uintptr_t)memory % alignment != 0u) {
        return ES_ERROR_ALIGNMENT;
    }
    values = es_adapt_values(model);
    if (bytes < ES_ADAPT_BYTES(1, values)) {
        return ES_ERROR_SIZE;
    }
    examples = (bytes - ES_ADAPT_BYTES(0, values)) / ((size_t)values + 4u);
    made = (es_adapt_t *)memory;
    made->model = *model;
    made->stage = model->decision != NULL ? *model->decision : none;
    made->stage.step = adapted_step;
    made->stage.adapt = made;
    made->model.decision = &made->stage;
    made->factory = model;
    made->ready = NULL;
    made->values = values;
    made->examples = (uint16_t)(examples < ES_ADAPT_MAX_EXAMPLES ? examples : ES_ADAPT_MAX_EXAMPLES);
    made->radius_shift = 4u; /* the next power of two from 16 J on */
    while (es_power2(made->radius_shift) < (int32_t)16 * (int32_t)values) {
        made->radius_shift++;
    }
    made->steps = (uint16_t *)(void *)(made + 1);
    made->labels = (uint8_t *)(void *)(made->steps + made->examples);
    made->rivals = made->labels + made->examples;
    made->places = (int8_t *)(void *)(made->rivals + made->examples);
    made->seen = made->places + (size_t)made->examples * values;
    made->in_use = 1;
    es_adapt_forget(made);
    *adapt = made;
    return ES_OK;
}

const es_model_t *es_adapt_model(const es_adapt_t *adapt)
{
    return &adapt->model;
}

/* ----------------------------------------------------------------------------------------------------------- saving */

static uint32_t read16(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8);
}

static uint32_t read32(const uint8_t *at)
{
    return read16(at) | (read16(at + 2) << 16);
}

static void write16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value & 0xFFu);
    at[1] = (uint8_t)((value >> 8) & 0xFFu);
}

static void write32(uint8_t *at, uint32_t value)
{
    write16(at, value & 0xFFFFu);
    write16(at + 2, value >> 16);
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ES_CRC_START;
    size_t index;
    for (index = 0; index < size; index++) {
        crc = es_crc_byte(crc, bytes[index]);
    }
    return es_crc_end(crc);
}

es_status_t es_adapt_save(const es_adapt_t *adapt, uint8_t *bytes, size_t size)
{
    size_t whole;
    size_t at = HEADER_BYTES;
    size_t index;
    if (adapt == NULL || bytes == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    whole = es_adapt_saved_bytes(adapt);
    if (size < whole) {
        return ES_ERROR_SIZE;
    }
    for (index = 0; index < HASH_PREFIX; index++) {
        bytes[index] = adapt->model.hash[index];
    }
    write16(bytes + HASH_PREFIX, adapt->samples);
    write16(bytes + HASH_PREFIX + 2u, adapt->values);
    write16(bytes + HASH_PREFIX + 4u, adapt->examples);
    write16(bytes + HASH_PREFIX + 6u, adapt->next);
    for (index = 0; index < adapt->examples; index++) {
        write16(bytes + at + 2u * index, adapt->steps[index]);
        bytes[at + 2u * (size_t)adapt->examples + index] = adapt->labels[index];
        bytes[at + 3u * (size_t)adapt->examples + index] = adapt->rivals[index];
    }
    at += 4u * (size_t)adapt->examples;
    for (index = 0; index < (size_t)adapt->examples * adapt->values; index++) {
        bytes[at + index] = (uint8_t)adapt->places[index];
    }
    write32(bytes + whole - CRC_BYTES, checksum(bytes, whole - CRC_BYTES));
    return ES_OK;
}

/* True if the saved bytes are whole, of this model, and within the bounds of the proof. */
static int saved_valid(const es_adapt_t *adapt, const uint8_t *bytes, size_t whole)
{
    const uint8_t *const steps = bytes + HEADER_BYTES;
    size_t index;
    if (read32(bytes + whole - CRC_BYTES) != checksum(bytes, whole - CRC_BYTES)) {
        return 0;
    }
    for (index = 0; index < HASH_PREFIX; index++) {
        if (bytes[index] != adapt->model.hash[index]) {
            return 0;
        }
    }
    if (read16(bytes + HASH_PREFIX + 2u) != adapt->values || read16(bytes + HASH_PREFIX + 4u) != adapt->examples ||
        read16(bytes + HASH_PREFIX + 6u) >= adapt->examples) {
        return 0;
    }
    for (index = 0; index < adapt->examples; index++) {
        if (read16(steps + 2u * index) > (uint32_t)STEP_LIMIT ||
            steps[2u * (size_t)adapt->examples + index] >= adapt->model.num_classes ||
            steps[3u * (size_t)adapt->examples + index] >= adapt->model.num_classes) {
            return 0;
        }
    }
    return 1;
}

es_status_t es_adapt_restore(es_adapt_t *adapt, const uint8_t *bytes, size_t size)
{
    const uint8_t *at;
    const uint8_t *places;
    size_t index;
    if (adapt == NULL || bytes == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    if (size < es_adapt_saved_bytes(adapt)) {
        return ES_ERROR_SIZE;
    }
    if (saved_valid(adapt, bytes, es_adapt_saved_bytes(adapt)) == 0) {
        return ES_ERROR_STATE;
    }
    at = bytes + HEADER_BYTES;
    for (index = 0; index < adapt->examples; index++) {
        adapt->steps[index] = (uint16_t)read16(at + 2u * index);
        adapt->labels[index] = at[2u * (size_t)adapt->examples + index];
        adapt->rivals[index] = at[3u * (size_t)adapt->examples + index];
    }
    places = at + 4u * (size_t)adapt->examples;
    for (index = 0; index < (size_t)adapt->examples * adapt->values; index++) {
        const uint8_t raised = (uint8_t)(places[index] ^ 0x80u); /* two's complement, without a conversion */
        adapt->places[index] = (int8_t)((int32_t)raised - (int32_t)0x80);
    }
    adapt->samples = (uint16_t)read16(bytes + HASH_PREFIX);
    adapt->next = (uint16_t)read16(bytes + HASH_PREFIX + 6u);
    adapt->in_use = 1;
    return ES_OK;
}

/* --------------------------------------------------------------------------------------------------------- the wire */

enum { STATUS = 0x18, LEARN = 0x19, USE = 0x1A, READ = 0x1B, WRITE = 0x1C, RESTORE = 0x1D };
enum { TYPE = 4, LENGTH = 5, VALUE = 6, UNSUPPORTED = 7, STATE = 8 };
enum { FACTORY = 0, LEARNED = 1, FORGET = 2 };

/* Writes what a head that learns is like now. Returns the number of bytes. */
static size_t put_status(const es_adapt_t *adapt, uint8_t *reply)
{
    reply[0] = (uint8_t)adapt->in_use;
    write16(reply + 1, adapt->samples);
    write16(reply + 3, es_adapt_held(adapt));
    write16(reply + 5, adapt->examples);
    write32(reply + 7, (uint32_t)es_adapt_saved_bytes(adapt));
    return 11;
}

static unsigned serve_learn(const es_adapt_t *adapt, es_context_t *context, const uint8_t *fields, uint8_t *reply,
                            size_t *count)
{
    const es_status_t status = es_adapt(context, (uint16_t)read16(fields));
    if (status != ES_OK) {
        return status == ES_ERROR_STATE ? (unsigned)STATE : (unsigned)VALUE;
    }
    *count = put_status(adapt, reply);
    return 0;
}

static unsigned serve_use(es_adapt_t *adapt, const uint8_t *fields, uint8_t *reply, size_t *count)
{
    if (fields[0] > (uint8_t)FORGET) {
        return VALUE;
    }
    if (fields[0] == (uint8_t)FORGET) {
        es_adapt_forget(adapt);
    } else {
        es_adapt_use(adapt, fields[0] == (uint8_t)LEARNED ? 1 : 0);
    }
    *count = put_status(adapt, reply);
    return 0;
}

/* Gives the saved bytes from an offset on. Offset 0 saves them first. */
static unsigned serve_read(es_adapt_wire_t *wire, const uint8_t *fields, uint8_t *reply, size_t room,
                           size_t *count)
{
    const size_t whole = es_adapt_saved_bytes(wire->adapt);
    const uint32_t offset = read32(fields);
    size_t index;
    if (offset >= whole) {
        return VALUE;
    }
    if (offset == 0u) {
        (void)es_adapt_save(wire->adapt, wire->saved, whole);
    }
    write32(reply, offset);
    for (index = 0; index < room - 4u && (size_t)offset + index < whole; index++) {
        reply[4u + index] = wire->saved[(size_t)offset + index];
    }
    *count = 4u + index;
    return 0;
}

static unsigned serve_write(es_adapt_wire_t *wire, const uint8_t *fields, size_t size, uint8_t *reply,
                            size_t *count)
{
    const size_t whole = es_adapt_saved_bytes(wire->adapt);
    uint32_t offset;
    size_t index;
    if (size < 5u) {
        return LENGTH;
    }
    offset = read32(fields);
    if (offset >= whole || size - 4u > whole - (size_t)offset) {
        return VALUE;
    }
    for (index = 0; index < size - 4u; index++) {
        wire->saved[(size_t)offset + index] = fields[4u + index];
    }
    write32(reply, offset + (uint32_t)(size - 4u));
    *count = 4;
    return 0;
}

static unsigned serve_restore(es_adapt_wire_t *wire, uint8_t *reply, size_t *count)
{
    if (es_adapt_restore(wire->adapt, wire->saved, es_adapt_saved_bytes(wire->adapt)) != ES_OK) {
        return STATE;
    }
    *count = put_status(wire->adapt, reply);
    return 0;
}

/* Size of the fields of a message; of WRITE it is anything. */
static size_t fields_of(uint8_t type, size_t size)
{
    switch (type) {
    case LEARN:
        return 2;
    case USE:
        return 1;
    case READ:
        return 4;
    case WRITE:
        return size;
    default:
        return 0;
    }
}

unsigned es_adapt_serve(void *adapt, es_context_t *context, uint8_t type, const uint8_t *fields, size_t size,
                        uint8_t *reply, size_t room, size_t *count)
{
    es_adapt_wire_t *const wire = (es_adapt_wire_t *)adapt;
    unsigned refusal = 0;
    if (fields_of(type, size) != size) {
        return LENGTH;
    }
    if (wire->saved == NULL && type >= (uint8_t)READ) {
        return UNSUPPORTED;
    }
    switch (type) {
    case STATUS:
        *count = put_status(wire->adapt, reply);
        break;
    case LEARN:
        refusal = serve_learn(wire->adapt, context, fields, reply, count);
        break;
    case USE:
        refusal = serve_use(wire->adapt, fields, reply, count);
        break;
    case READ:
        refusal = serve_read(wire, fields, reply, room, count);
        break;
    case WRITE:
        refusal = serve_write(wire, fields, size, reply, count);
        break;
    default:
        refusal = serve_restore(wire, reply, count);
        break;
    }
    return refusal;
}
