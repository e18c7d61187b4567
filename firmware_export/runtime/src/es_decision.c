/* The decision stage (SPEC.md, section 14): turns labels into decisions. It processes every class at every label, with
 * masks instead of branches, so that its time does not depend on the decision. */
#include "es_decision.h"

#include "es_fixed.h"

/* All ones if a < b, else 0. The difference must fit. */
static inline uint32_t less(int32_t a, int32_t b)
{
    return es_negative(a - b);
}

/* All ones if a == b, else 0; a and b at least 0. */
static inline uint32_t equal(int32_t a, int32_t b)
{
    return ~(less(a, b) | less(b, a));
}

/* a if mask is all ones, b if it is 0 */
static inline int32_t select(uint32_t mask, int32_t a, int32_t b)
{
    const uint32_t chosen = ((uint32_t)a & mask) | ((uint32_t)b & ~mask);
    return es_signed32(chosen);
}

/* Moves each score [K] towards the difference between its logit and the largest logit. */
static void smooth(int32_t *scores, const int32_t *logits, unsigned num_classes, int32_t largest, unsigned shift)
{
    unsigned k;
    for (k = 0; k < num_classes; k++) {
        const int32_t gap = logits[k] - largest;
        const int32_t fresh = select(less(gap, -ES_SCORE_LIMIT), -ES_SCORE_LIMIT, gap);
        scores[k] += es_shift_right(fresh - scores[k], shift);
    }
}

/* Target of the scores [K], given the current decision: 0 unknown, k + 1 class k. */
static int32_t wanted(const es_decision_t *stage, const int32_t *scores, unsigned num_classes, int32_t decided)
{
    const uint32_t is_class = less(0, decided);
    int32_t held = -ES_SCORE_LIMIT;
    int32_t first = scores[0];
    int32_t second = -ES_SCORE_LIMIT - ES_SCORE_LIMIT; /* below all */
    int32_t best = 1;
    int32_t code = 1;
    int32_t target;
    unsigned k;

    for (k = 0; k < num_classes; k++) {
        const int32_t score = scores[k];
        const uint32_t is_held = equal(code, decided);
        held = select(is_held, score, held);
        if (k > 0u) {
            const uint32_t leads = less(first, score);
            const int32_t behind = select(leads, first, score);
            second = select(less(second, behind), behind, second);
            first = select(leads, score, first);
            best = select(leads, code, best);
        }
        code++;
    }
    target = select(is_class & less(first - held, stage->hysteresis), decided, best);
    return select(less(first - second, stage->unknown_margin), 0, target);
}

void es_decision_step(es_context_t *context)
{
    const es_decision_t *const stage = context->model->decision;
    const unsigned num_classes = context->model->num_classes;
    const int32_t *const logits = context->logits;
    int32_t *const scores = context->logits + num_classes;
    int32_t *const state = scores + num_classes;
    const int32_t decided = state[ES_DECISION_DECIDED];
    const unsigned shift = (unsigned)state[ES_DECISION_PRIMED] * stage->smoothing_shift; /* 0 at the first label */
    uint32_t follows;
    int32_t target;
    int32_t run;

    smooth(scores, logits, num_classes, logits[context->label], shift);
    target = wanted(stage, scores, num_classes, decided);
    if (stage->distance != NULL) {
        int32_t *const excess = &state[ES_DECISION_EXCESS];
        *excess += es_shift_right(stage->distance->excess(context) - *excess, shift);
        target = select(less(0, *excess), 0, target);
    }
    run = select(equal(target, state[ES_DECISION_PENDING]), state[ES_DECISION_RUN] + 1, 1);
    run = select(equal(target, decided), 0, run);
    follows = ~less(run, (int32_t)stage->min_labels) | equal(state[ES_DECISION_PRIMED], 0);
    state[ES_DECISION_DECIDED] = select(follows, target, decided);
    state[ES_DECISION_PENDING] = target;
    state[ES_DECISION_RUN] = select(follows, 0, run);
    state[ES_DECISION_PRIMED] = 1;
}
