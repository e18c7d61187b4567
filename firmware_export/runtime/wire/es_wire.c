/* The device side of the wire protocol (SPEC.md, part 2). A frame is used only after its length and checksum were
 * checked, a request only after its fields were checked. */
#include "es_wire.h"

#include "es_crc.h"
#include "es_decision.h"

#define HEADER_BYTES 4u
#define CRC_BYTES 4u
#define TEXT_BYTES 40u
#define MAX_CHANNELS 64u
#define SAMPLES_A_POLL 64u
#define SAMPLES_HEADER (HEADER_BYTES + 10u)

#define REPLY 0x80u

enum {
    HELLO = 0x01,
    DESCRIBE = 0x02,
    RESET = 0x03,
    PUSH = 0x04,
    TRACE = 0x05,
    ROW = 0x06,
    STATE_READ = 0x07,
    STATE_WRITE = 0x08,
    STATE_RESTORE = 0x09,
    SELF_TEST = 0x0A,
    COST = 0x0B,
    STREAM = 0x0C,
    MODEL_STATUS = 0x10,
    MODEL_COMMIT = 0x13,
    ADAPT_STATUS = 0x18,
    ADAPT_RESTORE = 0x1D,
    SAMPLES = 0xC0,
    DECISION = 0xC1,
    ERROR = 0xFF
};

typedef enum refusal {
    NONE = 0,
    VERSION = 1,
    SESSION = 2,
    SEQUENCE = 3,
    TYPE = 4,
    LENGTH = 5,
    VALUE = 6,
    UNSUPPORTED = 7,
    STATE = 8
} refusal_t;

#define STREAM_SAMPLES 1u
#define STREAM_DECISIONS 2u

#define HAS_SELF_TEST 1u
#define HAS_SENSOR 2u
#define HAS_STATE 4u
#define HAS_DECISION 8u
#define HAS_DISTANCE 16u
#define HAS_UPDATE 32u
#define HAS_ADAPT 64u
#define MAGNITUDE 256u /* added to what a device has for each magnitude */

static const char *refusal_text(refusal_t refusal)
{
    static const char *const texts[(unsigned)STATE + 1u] = {
        [NONE] = "",
        [VERSION] = "protocol version is 1",
        [SESSION] = "no session: send HELLO first",
        [SEQUENCE] = "sequence number is not new",
        [TYPE] = "no such request",
        [LENGTH] = "wrong length for this request",
        [VALUE] = "value is out of range",
        [UNSUPPORTED] = "not supported by this board",
        [STATE] = "state is damaged or from another model",
    };
    return texts[refusal];
}

/* ------------------------------------------------------------------------------------------------- bytes and
 * fields */

static size_t put8(uint8_t *body, size_t at, uint8_t value)
{
    body[at] = value;
    return at + 1u;
}

static size_t put16(uint8_t *body, size_t at, uint32_t value)
{
    body[at] = (uint8_t)(value & 0xFFu);
    body[at + 1u] = (uint8_t)((value >> 8) & 0xFFu);
    return at + 2u;
}

static size_t put32(uint8_t *body, size_t at, uint32_t value)
{
    return put16(body, put16(body, at, value & 0xFFFFu), value >> 16);
}

/* Writes length and bytes of a text, cut at the end of a UTF-8 character. */
static size_t put_text(uint8_t *body, size_t at, const char *text)
{
    size_t length = 0; /* bytes of the characters that fit completely */
    size_t index = 0;
    while (text[index] != '\0' && index < TEXT_BYTES) {
        index++;
        if (((uint8_t)text[index] & 0xC0u) != 0x80u) {
            length = index;
        }
    }
    body[at] = (uint8_t)length;
    for (index = 0; index < length; index++) {
        body[at + 1u + index] = (uint8_t)text[index];
    }
    return at + 1u + length;
}

static size_t put_number(uint8_t *body, size_t at, uint32_t number)
{
    static const char decimals[] = "0123456789";
    char digits[11];
    size_t first = sizeof digits - 1u;
    digits[first] = '\0';
    do {
        first--;
        digits[first] = decimals[number % 10u];
        number /= 10u;
    } while (number > 0u);
    return put_text(body, at, &digits[first]);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) | (get16(at + 2) << 16);
}

/* Reads two's complement without an implementation-defined conversion. */
static int16_t get_signed16(const uint8_t *at)
{
    const uint16_t shifted = (uint16_t)(get16(at) ^ 0x8000u);
    return (int16_t)((int32_t)shifted - (int32_t)0x8000);
}

/* Reads the counts of a sample, int16 [C]. */
static void get_counts(const es_wire_t *wire, const uint8_t *fields, size_t sample, int16_t *counts)
{
    const size_t channels = wire->setup->model->num_channels;
    size_t channel;
    for (channel = 0; channel < channels; channel++) {
        counts[channel] = get_signed16(fields + 2u * (sample * channels + channel));
    }
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ES_CRC_START;
    size_t index;
    for (index = 0; index < size; index++) {
        crc = es_crc_byte(crc, bytes[index]);
    }
    return es_crc_end(crc);
}

/* -------------------------------------------------------------------------------------------------------- sending */

static size_t put_header(uint8_t *body, uint32_t type, uint32_t sequence)
{
    return put16(body, put8(body, put8(body, 0, ES_WIRE_VERSION), (uint8_t)type), sequence);
}

/* Sends a body of `size` bytes. The buffer has room for the checksum after it. */
static void send(const es_wire_t *wire, uint8_t *body, size_t size)
{
    const es_wire_port_t *const port = wire->setup->port;
    const uint8_t delimiter = 0;
    const size_t end = put32(body, size, crc_of(body, size));
    size_t at = 0;

    port->write(port->port, &delimiter, 1);
    for (;;) {
        size_t run = 0;
        uint8_t code;
        while (run < 254u && at + run < end && body[at + run] != 0u) {
            run++;
        }
        code = (uint8_t)(run + 1u);
        port->write(port->port, &code, 1);
        port->write(port->port, body + at, run);
        at += run;
        if (at >= end) {
            break;
        }
        if (run < 254u) {
            at++; /* the zero that the code stands for */
        }
    }
    port->write(port->port, &delimiter, 1);
}

static size_t put_refusal(uint8_t *body, uint32_t type, uint32_t sequence, refusal_t refusal)
{
    size_t at = put_header(body, ERROR, sequence);
    at = put8(body, at, (uint8_t)type);
    at = put16(body, at, (uint32_t)refusal);
    return put_text(body, at, refusal_text(refusal));
}

/* ------------------------------------------------------------------------------------------------------- the model */

/* Bytes of fields that fit a reply. */
static size_t room(const es_wire_t *wire)
{
    return wire->setup->body_bytes - HEADER_BYTES - CRC_BYTES;
}

static void step(es_wire_t *wire, const int16_t *counts)
{
    const es_wire_port_t *const port = wire->setup->port;
    const uint32_t before = port->measure(port->port, ES_WIRE_TICKS);
    const es_status_t status = es_step(wire->context, counts);
    const uint32_t ticks = port->measure(port->port, ES_WIRE_TICKS) - before;

    wire->label_due = status == ES_LABEL_READY ? 1u : 0u;
    wire->has_row = 1;
    wire->ticks_last = ticks;
    if (wire->steps == 0xFFFFFFFFu) { /* the figures stay, as a count from zero would not fit the total */
        return;
    }
    wire->ticks_total += ticks;
    if (wire->steps == 0u || ticks < wire->ticks_lowest) {
        wire->ticks_lowest = ticks;
    }
    if (ticks > wire->ticks_highest) {
        wire->ticks_highest = ticks;
    }
    wire->steps++;
}

/* Number of labels due in the next samples. */
static size_t labels_in(const es_wire_t *wire, size_t samples)
{
    const es_model_t *const model = wire->setup->model;
    if (model->label_every_step != 0u) {
        return samples;
    }
    return ((size_t)(wire->context->step_in_window % model->window_length) + samples) / model->window_length;
}

/* Bytes of a label with its logits and, with a decision stage, its decision. */
static size_t label_bytes(const es_model_t *model)
{
    return 2u + 4u * (size_t)model->num_classes + (model->decision_words != 0u ? 2u : 0u);
}

/* True if the model has a decision stage with a distance. */
static int has_distance(const es_model_t *model)
{
    return model->decision_words > model->num_classes + ES_DECISION_EXCESS;
}

/* Bytes of a traced step. */
static size_t row_bytes(const es_model_t *model)
{
    const size_t scores = model->decision_words != 0u ? 4u * ((size_t)model->decision_words - ES_DECISION_EXCESS) : 0u;
    const size_t values = (size_t)es_num_features(model) + model->state_words + es_read_out_words(model);
    return 2u * values + label_bytes(model) + scores;
}

/* Output of the decision stage: 0 .. K-1, or K for unknown. */
static uint32_t decision_of(const es_context_t *context)
{
    const uint16_t decision = es_decision(context);
    return decision == ES_UNKNOWN ? context->model->num_classes : decision;
}

/* One of the two halves of a 32-bit word, the low one first. */
static uint32_t half_of(int32_t word, size_t index)
{
    return (index % 2u == 0u) ? (uint32_t)word & 0xFFFFu : (uint32_t)word >> 16;
}

/* One of the 16-bit words of a label that was due: logits, label; with a decision stage also scores, the excess of a
 * distance, decision. */
static uint32_t label_word(const es_context_t *context, size_t index)
{
    const size_t num_classes = context->model->num_classes;
    if (index < 2u * num_classes) {
        return half_of(context->logits[index / 2u], index);
    }
    index -= 2u * num_classes;
    if (index == 0u) {
        return es_label(context);
    }
    index--;
    if (index < 2u * num_classes) {
        return half_of(context->logits[num_classes + index / 2u], index);
    }
    index -= 2u * num_classes;
    if (index < 2u && has_distance(context->model)) {
        return half_of(context->logits[2u * num_classes + ES_DECISION_EXCESS], index);
    }
    return decision_of(context);
}

/* One of the 16-bit words of the latest step: features, states, what is read out, then those of label_word. If no label
 * is due, the latter are zeros, and label and decision are all ones. */
static uint32_t row_word(const es_wire_t *wire, size_t index)
{
    const es_context_t *const context = wire->context;
    const es_model_t *const model = context->model;
    const size_t word = index;
    if (index < es_num_features(model)) {
        return (uint16_t)context->features[index];
    }
    index -= es_num_features(model);
    if (index < model->state_words) {
        return (uint16_t)context->states[index];
    }
    index -= model->state_words;
    if (index < es_read_out_words(model)) {
        return wire->label_due != 0u ? (uint16_t)context->scratch[index] : 0u;
    }
    index -= es_read_out_words(model);
    if (wire->label_due != 0u) {
        return label_word(context, index);
    }
    return (index == 2u * (size_t)model->num_classes || 2u * word + 2u == row_bytes(model)) ? 0xFFFFu : 0u;
}

/* Writes bytes of the latest step's row from `offset` on, at most `size` of them. */
static size_t put_row(const es_wire_t *wire, uint8_t *body, size_t at, size_t offset, size_t size)
{
    const size_t whole = row_bytes(wire->setup->model);
    for (; size > 0u && offset < whole; offset++) {
        const uint32_t word = row_word(wire, offset / 2u);
        at = put8(body, at, (uint8_t)((offset % 2u == 0u) ? word & 0xFFu : word >> 8));
        size--;
    }
    return at;
}

static size_t put_label(const es_wire_t *wire, uint8_t *body, size_t at)
{
    unsigned index;
    at = put16(body, at, es_label(wire->context));
    for (index = 0; index < wire->setup->model->num_classes; index++) {
        at = put32(body, at, (uint32_t)es_logits(wire->context)[index]);
    }
    if (wire->setup->model->decision_words != 0u) {
        at = put16(body, at, decision_of(wire->context));
    }
    return at;
}

static void reset(es_wire_t *wire)
{
    es_reset(wire->context);
    wire->has_row = 0;
}

/* ------------------------------------------------------------------------------------------------------- requests */

static refusal_t serve_hello(es_wire_t *wire)
{
    const es_wire_setup_t *const setup = wire->setup;
    const es_wire_port_t *const port = setup->port;
    const es_model_t *const model = setup->model;
    uint8_t *const body = setup->reply;
    size_t at = wire->reply_size;
    unsigned index;

    wire->stream_flags = 0;
    for (index = 0; index < ES_HASH_BYTES; index++) {
        at = put8(body, at, model->hash[index]);
    }
    at = put32(body, at, port->boot);
    at = put16(body, at, model->abi);
    at = put16(body, at, model->num_channels);
    at = put16(body, at, model->num_classes);
    at = put16(body, at, es_num_layers(model));
    at = put16(body, at, model->window_length);
    at = put16(body, at, model->state_words);
    at = put16(body, at, (uint16_t)es_read_out_words(model));
    at = put8(body, at, (uint8_t)model->label_every_step);
    at = put8(body, at, (uint8_t)model->carry);
    at = put16(body, at,
               (setup->golden != NULL ? HAS_SELF_TEST : 0u) | (port->sensor != NULL ? HAS_SENSOR : 0u) |
                   (setup->state != NULL ? HAS_STATE : 0u) | (model->decision_words != 0u ? HAS_DECISION : 0u) |
                   (has_distance(model) ? HAS_DISTANCE : 0u) | (setup->update != NULL ? HAS_UPDATE : 0u) |
                   (setup->adapt != NULL ? HAS_ADAPT : 0u) | (MAGNITUDE * (uint32_t)model->num_magnitudes));
    at = put16(body, at, (uint32_t)setup->body_bytes);
    at = put32(body, at, (uint32_t)es_state_bytes(model));
    at = put32(body, at, (uint32_t)es_context_bytes(model));
    at = put32(body, at, (uint32_t)setup->memory_bytes);
    at = put32(body, at, port->measure(port->port, ES_WIRE_FREE_STACK));
    at = put32(body, at, wire->frame_errors);
    at = put_text(body, at, ES_WIRE_RUNTIME);
    wire->reply_size = put_text(body, at, port->board);
    return NONE;
}

static refusal_t serve_describe(es_wire_t *wire, const uint8_t *fields)
{
    const es_contract_t *const contract = wire->setup->contract;
    const es_model_t *const model = wire->setup->model;
    uint8_t *const body = wire->setup->reply;
    const uint32_t index = get16(fields + 1);
    size_t at = wire->reply_size;

    if (fields[0] == 0u && index == 0u) {
        at = put8(body, at, 3);
        at = put_text(body, at, contract->sample_rate_hz);
        at = put_text(body, at, contract->preprocessing);
        at = put_number(body, at, contract->window_stride);
    } else if (fields[0] == 1u && index < contract->num_channels) {
        const es_channel_t *const channel = &contract->channels[index];
        at = put8(body, at, 4);
        at = put_text(body, at, channel->name);
        at = put_text(body, at, channel->unit);
        at = put_text(body, at, channel->counts_per_unit);
        at = put_text(body, at, channel->full_scale);
    } else if (fields[0] == 2u && index < model->num_classes) {
        at = put8(body, at, 1);
        at = put_text(body, at, es_label_text(model, (uint16_t)index));
    } else {
        return VALUE;
    }
    wire->reply_size = at;
    return NONE;
}

/* Checks the fields of PUSH and TRACE: the number of samples, then that many samples. */
static refusal_t check_samples(const es_wire_t *wire, const uint8_t *fields, size_t size)
{
    size_t samples;
    if (size < 2u) {
        return LENGTH;
    }
    samples = (size_t)get16(fields);
    /* Compares a quotient, as the size of 65535 samples may not fit a size_t of 16 bits. */
    if ((size - 2u) % (2u * (size_t)wire->setup->model->num_channels) != 0u ||
        (size - 2u) / (2u * (size_t)wire->setup->model->num_channels) != samples) {
        return LENGTH;
    }
    return samples == 0u ? VALUE : NONE;
}

static refusal_t serve_push(es_wire_t *wire, const uint8_t *fields, size_t size)
{
    const refusal_t refusal = check_samples(wire, fields, size);
    uint8_t *const body = wire->setup->reply;
    int16_t counts[MAX_CHANNELS];
    size_t samples;
    size_t sample;
    size_t labels = 0;
    size_t at;

    if (refusal != NONE) {
        return refusal;
    }
    samples = (size_t)get16(fields);
    if (labels_in(wire, samples) > (room(wire) - 4u) / (2u + label_bytes(wire->setup->model))) {
        return LENGTH;
    }
    at = put32(body, wire->reply_size, 0);
    for (sample = 0; sample < samples; sample++) {
        get_counts(wire, fields + 2, sample, counts);
        step(wire, counts);
        if (wire->label_due != 0u) {
            at = put16(body, at, (uint32_t)sample);
            at = put_label(wire, body, at);
            labels++;
        }
    }
    (void)put16(body, put16(body, wire->reply_size, (uint32_t)samples), (uint32_t)labels);
    wire->reply_size = at;
    return NONE;
}

static refusal_t serve_trace(es_wire_t *wire, const uint8_t *fields, size_t size)
{
    const refusal_t refusal = check_samples(wire, fields, size);
    const size_t whole = row_bytes(wire->setup->model);
    uint8_t *const body = wire->setup->reply;
    int16_t counts[MAX_CHANNELS];
    size_t samples;
    size_t sample;
    size_t at;

    if (refusal != NONE) {
        return refusal;
    }
    samples = (size_t)get16(fields);
    if (samples > 1u && samples > (room(wire) - 2u) / whole) {
        return LENGTH;
    }
    at = put16(body, wire->reply_size, (uint32_t)samples);
    for (sample = 0; sample < samples; sample++) {
        get_counts(wire, fields + 2, sample, counts);
        step(wire, counts);
        at = put_row(wire, body, at, 0, room(wire) - 2u);
    }
    wire->reply_size = at;
    return NONE;
}

static refusal_t serve_row(es_wire_t *wire, const uint8_t *fields)
{
    const uint32_t offset = get32(fields);
    uint8_t *const body = wire->setup->reply;
    size_t at;
    if (wire->has_row == 0u || offset >= row_bytes(wire->setup->model)) {
        return VALUE;
    }
    at = put32(body, wire->reply_size, offset);
    wire->reply_size = put_row(wire, body, at, (size_t)offset, room(wire) - 4u);
    return NONE;
}

static refusal_t serve_state_read(es_wire_t *wire, const uint8_t *fields)
{
    const uint32_t offset = get32(fields);
    const size_t whole = es_state_bytes(wire->setup->model);
    uint8_t *const body = wire->setup->reply;
    uint8_t *const state = wire->setup->state;
    size_t at;
    size_t index;

    if (state == NULL) {
        return UNSUPPORTED;
    }
    if (offset >= whole) {
        return VALUE;
    }
    if (offset == 0u) {
        (void)es_state_save(wire->context, state, whole);
    }
    at = put32(body, wire->reply_size, offset);
    for (index = (size_t)offset; index < whole && index - (size_t)offset < room(wire) - 4u; index++) {
        at = put8(body, at, state[index]);
    }
    wire->reply_size = at;
    return NONE;
}

static refusal_t serve_state_write(es_wire_t *wire, const uint8_t *fields, size_t size)
{
    const size_t whole = es_state_bytes(wire->setup->model);
    uint8_t *const state = wire->setup->state;
    uint8_t *const body = wire->setup->reply;
    uint32_t offset;
    size_t index;

    if (state == NULL) {
        return UNSUPPORTED;
    }
    if (size < 5u) {
        return LENGTH;
    }
    offset = get32(fields);
    if (offset >= whole || size - 4u > whole - (size_t)offset) {
        return VALUE;
    }
    for (index = 0; index < size - 4u; index++) {
        state[(size_t)offset + index] = fields[4u + index];
    }
    wire->reply_size = put32(body, wire->reply_size, offset + (uint32_t)(size - 4u));
    return NONE;
}

static refusal_t serve_state_restore(es_wire_t *wire)
{
    const es_wire_setup_t *const setup = wire->setup;
    if (setup->state == NULL) {
        return UNSUPPORTED;
    }
    if (es_state_restore(wire->context, setup->state, es_state_bytes(setup->model)) != ES_OK) {
        return STATE;
    }
    wire->has_row = 0;
    return NONE;
}

static refusal_t serve_self_test(es_wire_t *wire)
{
    const es_wire_setup_t *const setup = wire->setup;
    void *const memory = setup->memory;
    uint8_t *const body = setup->reply;
    es_place_t failed = {0, 0};
    es_status_t status;
    size_t at;

    if (setup->golden == NULL) {
        return UNSUPPORTED;
    }
    status = es_self_test(setup->golden, memory, setup->memory_bytes, &failed);
    /* The test ran in the memory of the context. es_init succeeded before with the same arguments, so it does
     * again. */
    (void)es_init(setup->model, memory, setup->memory_bytes, &wire->context);
    wire->has_row = 0;
    at = put8(body, wire->reply_size, (uint8_t)status);
    at = put16(body, at, failed.window);
    wire->reply_size = put16(body, at, failed.step);
    return NONE;
}

static refusal_t serve_cost(es_wire_t *wire)
{
    const es_wire_port_t *const port = wire->setup->port;
    uint8_t *const body = wire->setup->reply;
    size_t at = put32(body, wire->reply_size, wire->steps);
    at = put32(body, at, wire->ticks_last);
    at = put32(body, at, wire->ticks_lowest);
    at = put32(body, at, wire->ticks_highest);
    at = put32(body, at, (uint32_t)(wire->ticks_total & 0xFFFFFFFFu));
    at = put32(body, at, (uint32_t)(wire->ticks_total >> 32));
    at = put32(body, at, port->ticks_hz);
    wire->reply_size = put_text(body, at, port->tick_unit);
    return NONE;
}

static refusal_t serve_stream(es_wire_t *wire, const uint8_t *fields)
{
    const size_t sample_bytes = 2u * (size_t)wire->setup->model->num_channels;
    uint8_t *const body = wire->setup->reply;
    const size_t most = (wire->setup->stream_bytes - SAMPLES_HEADER - CRC_BYTES) / sample_bytes;
    if (fields[0] > (STREAM_SAMPLES | STREAM_DECISIONS)) {
        return VALUE;
    }
    if (fields[0] != 0u && wire->setup->port->sensor == NULL) {
        return UNSUPPORTED;
    }
    wire->stream_flags = fields[0];
    wire->stream_batch = (fields[1] == 0u || fields[1] > most) ? (uint8_t)(most < 255u ? most : 255u) : fields[1];
    wire->stream_size = 0;
    wire->has_index = 0;
    wire->dropped = 0;
    if ((fields[0] & STREAM_DECISIONS) != 0u) {
        reset(wire);
    }
    wire->reply_size = put8(body, put8(body, wire->reply_size, wire->stream_flags), wire->stream_batch);
    return NONE;
}

/* Size of the fields of a request in bytes, or ANY. */
#define ANY 0xFFFFu

static size_t fields_of(uint8_t type)
{
    switch (type) {
    case DESCRIBE:
        return 3;
    case ROW:
    case STATE_READ:
        return 4;
    case STREAM:
        return 2;
    case PUSH:
    case TRACE:
    case STATE_WRITE:
        return ANY;
    default:
        return 0;
    }
}

/* Messages about models that the firmware loads. */
static refusal_t serve_update(es_wire_t *wire, uint8_t type, const uint8_t *fields, size_t size)
{
    const es_wire_setup_t *const setup = wire->setup;
    void *const memory = setup->memory;
    size_t count = 0;
    const unsigned refusal =
        setup->update->serve(setup->update->update, type, fields, size, setup->reply + wire->reply_size, &count);
    wire->reply_size += count;
    if (type == (uint8_t)MODEL_COMMIT) {
        /* The new model was tried, perhaps in the memory of the context. */
        (void)es_init(setup->model, memory, setup->memory_bytes, &wire->context);
        wire->has_row = 0;
    }
    return (refusal_t)refusal;
}

/* Messages about a head that learns. */
static refusal_t serve_adapt(es_wire_t *wire, uint8_t type, const uint8_t *fields, size_t size)
{
    const es_wire_adapt_t *const adapt = wire->setup->adapt;
    size_t count = 0;
    const unsigned refusal = adapt->serve(adapt->adapt, wire->context, type, fields, size,
                                          wire->setup->reply + wire->reply_size, room(wire), &count);
    wire->reply_size += count;
    return (refusal_t)refusal;
}

static refusal_t serve(es_wire_t *wire, uint8_t type, const uint8_t *fields, size_t size)
{
    refusal_t refusal = NONE;
    if (wire->setup->update != NULL && type >= (uint8_t)MODEL_STATUS && type <= (uint8_t)MODEL_COMMIT) {
        return serve_update(wire, type, fields, size);
    }
    if (wire->setup->adapt != NULL && type >= (uint8_t)ADAPT_STATUS && type <= (uint8_t)ADAPT_RESTORE) {
        return serve_adapt(wire, type, fields, size);
    }
    if (type == 0u || type > (uint8_t)STREAM) {
        return TYPE;
    }
    if (fields_of(type) != ANY && fields_of(type) != size) {
        return LENGTH;
    }
    switch (type) {
    case HELLO:
        refusal = serve_hello(wire);
        break;
    case DESCRIBE:
        refusal = serve_describe(wire, fields);
        break;
    case RESET:
        reset(wire);
        break;
    case PUSH:
        refusal = serve_push(wire, fields, size);
        break;
    case TRACE:
        refusal = serve_trace(wire, fields, size);
        break;
    case ROW:
        refusal = serve_row(wire, fields);
        break;
    case STATE_READ:
        refusal = serve_state_read(wire, fields);
        break;
    case STATE_WRITE:
        refusal = serve_state_write(wire, fields, size);
        break;
    case STATE_RESTORE:
        refusal = serve_state_restore(wire);
        break;
    case SELF_TEST:
        refusal = serve_self_test(wire);
        break;
    case COST:
        refusal = serve_cost(wire);
        break;
    default:
        refusal = serve_stream(wire, fields);
        break;
    }
    return refusal;
}

/* Checks version, session and sequence number of a request: NONE, or why it is refused. */
static refusal_t check_order(const es_wire_t *wire, uint8_t version, uint8_t type, uint32_t sequence, uint32_t crc)
{
    const uint32_t ahead = (sequence - wire->last_sequence) & 0xFFFFu;
    if (version != ES_WIRE_VERSION) {
        return VERSION;
    }
    if (type == (uint8_t)HELLO) {
        return NONE;
    }
    if (wire->session == 0u) {
        return SESSION;
    }
    return (ahead >= 0x8000u || (ahead == 0u && crc != wire->last_crc)) ? SEQUENCE : NONE;
}

/* Executes the request in body [length], whose checksum is right. */
static void take_request(es_wire_t *wire, const uint8_t *body, size_t length, uint32_t crc)
{
    uint8_t *const reply = wire->setup->reply;
    const uint8_t type = body[1];
    const uint32_t sequence = get16(body + 2);
    refusal_t refusal = check_order(wire, body[0], type, sequence, crc);

    if (refusal != NONE) {
        /* A separate buffer, as the host may still ask for the latest reply. */
        uint8_t refused[HEADER_BYTES + 4u + TEXT_BYTES + CRC_BYTES];
        send(wire, refused, put_refusal(refused, type, sequence, refusal));
        return;
    }
    if (type == (uint8_t)HELLO || sequence != wire->last_sequence) {
        wire->session = 1;
        wire->last_sequence = (uint16_t)sequence;
        wire->last_crc = crc;
        wire->reply_size = put_header(reply, (uint32_t)type | REPLY, sequence);
        refusal = serve(wire, type, body + HEADER_BYTES, length - HEADER_BYTES - CRC_BYTES);
        if (refusal != NONE) {
            wire->reply_size = put_refusal(reply, type, sequence, refusal);
        }
    }
    send(wire, reply, wire->reply_size);
}

/* At a delimiter: checks whether the bytes before it are a frame, and executes it. */
static void end_frame(es_wire_t *wire)
{
    const uint8_t *const body = wire->setup->received;
    const size_t length = wire->length;
    uint32_t crc;

    if (wire->too_long != 0u || wire->block_left != 0u || length < HEADER_BYTES + CRC_BYTES) {
        wire->frame_errors++;
        return;
    }
    crc = get32(body + length - CRC_BYTES);
    if (crc != crc_of(body, length - CRC_BYTES)) {
        wire->frame_errors++;
        return;
    }
    take_request(wire, body, length, crc);
}

static void store(es_wire_t *wire, uint8_t byte)
{
    if (wire->length < wire->setup->body_bytes) {
        wire->setup->received[wire->length] = byte;
        wire->length++;
    } else {
        wire->too_long = 1;
    }
}

void es_wire_receive(es_wire_t *wire, uint8_t byte)
{
    if (byte == 0u) {
        if (wire->began != 0u) {
            end_frame(wire);
        }
        wire->length = 0;
        wire->block_left = 0;
        wire->zero_due = 0;
        wire->began = 0;
        wire->too_long = 0;
    } else if (wire->block_left > 0u) {
        store(wire, byte);
        wire->block_left--;
    } else {
        if (wire->zero_due != 0u) {
            store(wire, 0);
        }
        wire->block_left = (uint8_t)(byte - 1u);
        wire->zero_due = byte != 0xFFu ? 1u : 0u;
        wire->began = 1;
    }
}

/* --------------------------------------------------------------------------------------------------------- stream */

/* Sends a message that is not a reply: `size` bytes, whose header is written here. */
static void send_unasked(es_wire_t *wire, uint32_t type, size_t size)
{
    uint8_t *const body = wire->setup->stream;
    wire->stream_sequence = (uint16_t)((wire->stream_sequence + (uint32_t)1) & 0xFFFFu);
    (void)put_header(body, type, wire->stream_sequence);
    send(wire, body, size);
}

static void send_samples(es_wire_t *wire)
{
    const size_t sample_bytes = 2u * (size_t)wire->setup->model->num_channels;
    if (wire->stream_size > 0u) {
        uint8_t *const body = wire->setup->stream;
        (void)put16(body, SAMPLES_HEADER - 2u, (uint32_t)((wire->stream_size - SAMPLES_HEADER) / sample_bytes));
        send_unasked(wire, SAMPLES, wire->stream_size);
        wire->stream_size = 0;
    }
}

static void collect_sample(es_wire_t *wire, const int16_t *counts, uint32_t index)
{
    const size_t channels = wire->setup->model->num_channels;
    uint8_t *const body = wire->setup->stream;
    size_t channel;

    if (wire->stream_size == 0u) {
        size_t at = put32(body, HEADER_BYTES, index);
        at = put32(body, at, wire->dropped);
        wire->stream_size = put16(body, at, 0);
    }
    for (channel = 0; channel < channels; channel++) {
        wire->stream_size = put16(body, wire->stream_size, (uint16_t)counts[channel]);
    }
    if (wire->stream_size >= SAMPLES_HEADER + 2u * channels * wire->stream_batch) {
        send_samples(wire);
    }
}

static void send_decision(es_wire_t *wire, uint32_t index)
{
    uint8_t *const body = wire->setup->stream;
    send_samples(wire);
    send_unasked(wire, DECISION, put_label(wire, body, put32(body, HEADER_BYTES, index)));
}

static void take_sample(es_wire_t *wire, const int16_t *counts, uint32_t index)
{
    if (wire->has_index && index != wire->next_index) {
        send_samples(wire);
        wire->dropped += index - wire->next_index;
    }
    wire->has_index = 1;
    wire->next_index = index + 1u;
    if ((wire->stream_flags & STREAM_SAMPLES) != 0u) {
        collect_sample(wire, counts, index);
    }
    if ((wire->stream_flags & STREAM_DECISIONS) != 0u) {
        step(wire, counts);
        if (wire->label_due != 0u) {
            send_decision(wire, index);
        }
    }
}

void es_wire_poll(es_wire_t *wire)
{
    const es_wire_port_t *const port = wire->setup->port;
    int16_t counts[MAX_CHANNELS];
    uint32_t index;
    unsigned left = SAMPLES_A_POLL;

    while (wire->stream_flags != 0u && left > 0u && port->sensor(port->port, counts, &index) != 0) {
        take_sample(wire, counts, index);
        left--;
    }
}

/* ---------------------------------------------------------------------------------------------------------- start */

es_status_t es_wire_init(es_wire_t *wire, const es_wire_setup_t *setup)
{
    static const es_wire_t fresh = {0};
    void *memory;

    if (wire == NULL || setup == NULL || setup->port == NULL || setup->model == NULL || setup->contract == NULL ||
        setup->received == NULL || setup->reply == NULL || setup->stream == NULL) {
        return ES_ERROR_ARGUMENT;
    }
    if (setup->body_bytes < ES_WIRE_BODY_BYTES(setup->model->num_classes) || setup->body_bytes > ES_WIRE_MAX_BODY ||
        setup->stream_bytes < ES_WIRE_STREAM_BYTES(setup->model->num_channels, setup->model->num_classes) ||
        setup->stream_bytes > ES_WIRE_MAX_BODY) {
        return ES_ERROR_SIZE;
    }
    *wire = fresh;
    wire->setup = setup;
    memory = setup->memory;
    return es_init(setup->model, memory, setup->memory_bytes, &wire->context);
}
