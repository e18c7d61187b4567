/* Memory of the decision stage: int32 words after the logits. First come the scores [K], then the words below. */
#ifndef ES_DECISION_H
#define ES_DECISION_H

#include "edge_seq.h"

#define ES_SCORE_LIMIT ((int32_t)524288) /* 2^19: scores are in [-2^19, 0] */

#define ES_DISTANCE_LIMIT ((int32_t)262144) /* 2^18: 1024 units of 2^8 */

#define ES_DECISION_DECIDED 0u /* 0 unknown, k + 1 class k */
#define ES_DECISION_PENDING 1u /* target of the previous label, in the same code */
#define ES_DECISION_RUN 2u     /* consecutive labels with that target, if it is not decided; below min_labels */
#define ES_DECISION_PRIMED 3u  /* 1 after the first label */
#define ES_DECISION_EXCESS 4u  /* only with a distance: its smoothed excess, in [-2^18, 2^18] */

#endif
