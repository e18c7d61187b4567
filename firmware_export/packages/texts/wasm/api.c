/* The functions of the WebAssembly module that index.js calls. A module has one context. */
#include "@model@.h"
#include "@model@_golden.h"

#define EXPORTED(name) __attribute__((export_name(name)))

static @model@_memory_t memory; /* all the RAM that the model needs */
static es_context_t *context;
static int16_t counts[@MODEL@_NUM_CHANNELS];

/* Runs the self-test and creates the context. Returns an es_status_t. */
EXPORTED("start") int start(void)
{
    const es_status_t status = es_self_test(&@model@_golden, &memory, sizeof memory, NULL);
    return (int)(status == ES_OK ? es_init(&@model@_model, &memory, sizeof memory, &context) : status);
}

/* Address of the sample's counts, int16 [C]. */
EXPORTED("counts") int16_t *counts_address(void)
{
    return counts;
}

/* Processes the counts. Returns 1 if an answer is due. */
EXPORTED("step") int step(void)
{
    return es_step(context, counts) == ES_LABEL_READY;
}

/* Index of the latest answer; 0xFFFE for unknown. */
EXPORTED("answer") int answer(void)
{
    return es_decision(context);
}

/* Index of the latest label, before a decision stage. */
EXPORTED("label") int label(void)
{
    return es_label(context);
}

/* Address of the latest logits, int32 [K]. */
EXPORTED("logits") const int32_t *logits(void)
{
    return es_logits(context);
}

EXPORTED("reset") void reset(void)
{
    es_reset(context);
}

/* Copies a stored sample to the counts. Returns 0 if there is no such window or step. */
EXPORTED("golden") int golden(int window, int at)
{
    return es_golden_sample(&@model@_golden, (uint16_t)window, (uint16_t)at, counts);
}
