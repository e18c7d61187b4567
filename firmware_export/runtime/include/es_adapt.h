/* A head that learns on the device: examples with a label correct the logits near them (SPEC.md, section 24).
 *
 *     static union { es_adapt_t alignment; uint8_t bytes[ES_ADAPT_BYTES(20, 32)]; } memory;   20 examples, 32 values
 *     es_adapt_t *adapt;
 *     if (es_adapt_init(&car_model, &memory, sizeof memory, &adapt) != ES_OK) { ... }
 *     es_init(es_adapt_model(adapt), &car_memory, sizeof car_memory, &context);
 *     if (es_step(context, counts) == ES_LABEL_READY && somebody says what it was) { es_adapt(context, label); }
 *
 * The model of the factory is not changed, and its self-test goes on with it. What is learned lies in the caller's
 * memory. Whatever it is, no sum overflows. It can be saved, restored, switched off and forgotten. Firmware that does
 * not use this links none of it. */
#ifndef ES_ADAPT_H
#define ES_ADAPT_H

#include "edge_seq.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ES_ADAPT_MAX_VALUES 1024u /* values that the head may see, padding aside */
#define ES_ADAPT_MAX_EXAMPLES 255u

/* Size of the memory of es_adapt_init in bytes, for N examples and a head that sees J values: the units of the last
 * dense layer, else those of the last recurrent layer, and twice as many if mean and largest value are read out. */
#define ES_ADAPT_BYTES(N, J) (sizeof(es_adapt_t) + (size_t)(J) + ((size_t)(J) + 4u) * (size_t)(N))

/* Size of what es_adapt_save writes, in bytes. */
#define ES_ADAPT_SAVED_BYTES(N, J) (20u + ((size_t)(J) + 4u) * (size_t)(N))

#if !ES_OPAQUE
/* A model with a head that learns. The fields are for the runtime. */
struct es_adapt {
    es_model_t model;          /* the factory's, with the stage below */
    es_decision_t stage;       /* corrects the logits, then does what the factory's stage does */
    const es_model_t *factory;
    const es_context_t *ready; /* whose latest label was not learned from yet; NULL: none */
    uint16_t *steps;           /* [N], 0 .. 2^15, Q15, in logits; 0: no example */
    uint8_t *labels;           /* [N], class that is raised near the example */
    uint8_t *rivals;           /* [N], class that is lowered */
    int8_t *places;            /* [N, J], Q7 */
    int8_t *seen;              /* [J], Q7: what the head saw at the latest label */
    uint16_t values;           /* J */
    uint16_t examples;         /* N */
    uint16_t next;             /* example that is replaced next */
    uint16_t samples;          /* labelled samples so far, at most 65535 */
    uint16_t radius_shift;     /* an example reaches to a distance of 2^radius_shift */
    uint16_t in_use;           /* 1: logits are corrected; 0: those of the factory */
};
#endif

/* Number of values that the head of a model sees, J; 0 if they are too many to learn from. */
uint16_t es_adapt_values(const es_model_t *model);

/* Size of what es_adapt_save writes, in bytes. */
size_t es_adapt_saved_bytes(const es_adapt_t *adapt);

/* Makes a model with a head that learns, in the caller's memory. Nothing is learned yet, so its labels are those of the
 * factory. Create one context with es_adapt_model; each further context needs an es_adapt_t of its own.
 *   model   of the factory; es_check_constants and the golden vectors go on with it
 *   memory  ES_ADAPT_BYTES for at least one example; as many fit as there is room for, up to ES_ADAPT_MAX_EXAMPLES. The
 *           oldest is replaced when there is no room. Aligned to an es_adapt_t; must live as long as the context
 *   adapt   out: the result, or NULL on an error
 * Returns ES_OK, ES_ERROR_ARGUMENT, ES_ERROR_MODEL (its head sees more than ES_ADAPT_MAX_VALUES values, or the model
 * learns already), ES_ERROR_SIZE or ES_ERROR_ALIGNMENT. */
es_status_t es_adapt_init(const es_model_t *model, void *memory, size_t bytes, es_adapt_t **adapt);

/* The model for es_init and for es_wire_setup_t. */
const es_model_t *es_adapt_model(const es_adapt_t *adapt);

/* Learns that the window or sample of the latest label is of class `label`. Call it once a label; the states go on
 * unchanged, and the next label is computed with what was learned. It also switches the correction on.
 *   context  of es_adapt_model
 *   label    0 .. K-1
 * Returns ES_OK; ES_ERROR_ARGUMENT if the context has no head that learns, or there is no such label; ES_ERROR_STATE if
 * there was no label since the latest call or reset. */
es_status_t es_adapt(es_context_t *context, uint16_t label);

/* Switches to what was learned (1) or back to the factory's head (0), from the next label on. Nothing is forgotten. */
void es_adapt_use(es_adapt_t *adapt, int learned);

/* 1 if the logits are corrected, 0 if they are those of the factory. */
int es_adapt_in_use(const es_adapt_t *adapt);

/* Forgets all that was learned. */
void es_adapt_forget(es_adapt_t *adapt);

/* Number of labelled samples so far, at most 65535. One that the head knew already, by a lead of one logit, leaves no
 * example. */
uint16_t es_adapt_samples(const es_adapt_t *adapt);

/* Number of examples that are held. */
uint16_t es_adapt_held(const es_adapt_t *adapt);

/* Writes what was learned, in a format that is the same on every machine. Returns ES_OK, ES_ERROR_ARGUMENT or
 * ES_ERROR_SIZE. */
es_status_t es_adapt_save(const es_adapt_t *adapt, uint8_t *bytes, size_t size);

/* Takes what was saved, and switches it on. Returns ES_ERROR_STATE and changes nothing if the bytes are damaged (their
 * checksum, or a number out of its range), from another model, or of another number of examples. */
es_status_t es_adapt_restore(es_adapt_t *adapt, const uint8_t *bytes, size_t size);

/* A head that learns over the wire: the `adapt` of es_wire_adapt_t, whose `serve` is es_adapt_serve. */
typedef struct es_adapt_wire {
    es_adapt_t *adapt;
    uint8_t *saved; /* [es_adapt_saved_bytes], or NULL: a host can neither read nor write what was learned */
} es_adapt_wire_t;

/* Serves the messages of SPEC.md, section 24; see es_wire_adapt_t. */
unsigned es_adapt_serve(void *adapt, es_context_t *context, uint8_t type, const uint8_t *fields, size_t size,
                        uint8_t *reply, size_t room, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
