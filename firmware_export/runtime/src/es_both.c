/* Bidirectional layers (SPEC.md, sections 6 and 7). The inputs of a window are kept; at its last sample the backward
 * direction runs over them from the end, and then the layers above. */
#include "es_both.h"
#include "es_pool.h"

/* Words of an input of a layer. */
static size_t input_words(const es_layer_t *layer)
{
    return ES_QUAD * (size_t)layer->below_quads + 2u * ((size_t)layer->wide_pairs + layer->wide_alone);
}

/* Index of the first layer that is read out: the last layer, or the forward one of the last two. */
static unsigned first_read_out(const es_model_t *model)
{
    const unsigned last = model->chain->num_behind - 1u;
    return es_runs_backward(model, last) != 0 ? last - 1u : last;
}

static void copy_words(int16_t *to, const int16_t *from, size_t words)
{
    size_t word;
    for (word = 0; word < words; word++) {
        to[word] = from[word];
    }
}

/* Gives a layer's operands at a step, counted from 0, to what sees them: to the inputs that are kept for the layers above,
 * of which `above` is the first, or to the pools.
 *   first   1: the first step that the layer takes in this window */
static void give(es_context_t *context, unsigned index, const int16_t *operands, int16_t *above, unsigned step,
                 int first)
{
    const es_model_t *const model = context->model;
    const es_chain_t *const chain = model->chain;
    const unsigned words = ES_QUAD * model->layers[index].own_quads;
    const unsigned part = es_runs_backward(model, index) != 0 ? words : 0u; /* behind those of the forward layer */
    const unsigned top = first_read_out(model);

    if (index < top) {
        const unsigned next = es_runs_backward(model, index + 1u) != 0 ? index + 2u : index + 1u;
        copy_words(above + step * input_words(&model->layers[next]) + part, operands, words);
    } else if (model->pool_words != 0u) {
        const unsigned means = model->num_reciprocals != 0u ? words * (chain->num_behind - top) : 0u;
        if (means != 0u) { /* the sums come first */
            es_pool_sum(context->pools + part, operands, words);
        }
        if (model->pool_words > means) {
            es_pool_largest(context->pools + means + part, operands, words, first);
        }
    } else {
        /* the states themselves are read out */
    }
}

/* Runs the layers below the first that runs backward, and keeps what that one sees. */
void es_both_step(es_context_t *context, const int16_t *input, uint16_t step)
{
    const es_model_t *const model = context->model;
    const es_both_t *const both = model->chain->both;
    int16_t *const kept = context->states + model->chain->front_words;
    int16_t *state = kept + both->kept_words;
    const int16_t *below = input;
    size_t words = 0;
    unsigned index;

    for (index = 0; index < both->streamed; index++) {
        const es_layer_t *const layer = &model->layers[index];
        words = input_words(layer);
        if (index + 1u == both->streamed) {
            copy_words(kept + words * ((size_t)step - 1u), below, words);
        }
        layer->step(layer, below, state, context->scratch);
        below = state;
        state += layer->state_words;
    }
    give(context, both->streamed - 1u, below, kept + both->steps * words, step - 1u, step == 1u ? 1 : 0);
}

/* Runs a layer over a window of kept inputs. */
static void run_kept(es_context_t *context, unsigned index, const int16_t *inputs, int16_t *above, int16_t *state)
{
    const es_model_t *const model = context->model;
    const es_layer_t *const layer = &model->layers[index];
    const unsigned steps = model->chain->both->steps;
    const size_t words = input_words(layer);
    unsigned done;

    for (done = 0; done < steps; done++) {
        const unsigned step = es_runs_backward(model, index) != 0 ? steps - 1u - done : done;
        layer->step(layer, inputs + step * words, state, context->scratch);
        give(context, index, state, above, step, done == 0u ? 1 : 0);
    }
}

/* The pools, or the operands of the last layers side by side, in the scratch. */
static const int16_t *read_out(es_context_t *context)
{
    const es_model_t *const model = context->model;
    const es_chain_t *const chain = model->chain;
    const unsigned top = first_read_out(model);
    const es_layer_t *const last = &model->layers[chain->num_behind - 1u];
    const unsigned words = ES_QUAD * last->own_quads;

    if (model->pool_words == 0u) {
        int16_t *const seen = context->scratch + es_read_out_words(model); /* behind the outputs of dense layers */
        const int16_t *state = context->states + model->state_words - last->state_words;
        if (top + 1u != chain->num_behind) {
            copy_words(seen + words, state, words);
            state -= model->layers[top].state_words;
        }
        copy_words(seen, state, words);
        return seen;
    }
    es_pool_show(context->pools, context->scratch, model->pool_words);
    if (model->num_reciprocals != 0u) {
        es_pool_means(context, chain->both->steps, words * (chain->num_behind - top));
    }
    return context->scratch;
}

/* Runs what runs at a window's end, and returns what is read out. */
const int16_t *es_both_end(es_context_t *context)
{
    const es_model_t *const model = context->model;
    const es_both_t *const both = model->chain->both;
    int16_t *inputs = context->states + model->chain->front_words;
    int16_t *state = inputs + both->kept_words;
    unsigned index;

    for (index = 0; index < model->chain->num_behind; index++) {
        const es_layer_t *const layer = &model->layers[index];
        if (index >= both->streamed) {
            if (index > both->streamed && es_runs_backward(model, index) == 0) { /* sees what the layers before gave */
                inputs += both->steps * input_words(&model->layers[index - 1u]);
            }
            run_kept(context, index, inputs, inputs + both->steps * input_words(layer), state);
        }
        state += layer->state_words;
    }
    return read_out(context);
}
