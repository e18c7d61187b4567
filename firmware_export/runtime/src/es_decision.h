/* Where the decision stage keeps what it remembers: int32 words behind the logits, the scores [K], then these. */
#ifndef ES_DECISION_H
#define ES_DECISION_H

#include "edge_seq.h"

#define ES_SCORE_LIMIT ((int32_t)524288) /* 2^19: scores are in [-2^19, 0] */

#define ES_DISTANCE_LIMIT ((int32_t)262144) /* 2^18: 1024 units of 2^8 */

#define ES_DECISION_DECIDED 0u /* 0 unknown, k + 1 class k */
#define ES_DECISION_PENDING 1u /* what the label before asked for, coded alike */
#define ES_DECISION_RUN 2u     /* labels in a row that asked for it where it is not decided, below min_labels */
#define ES_DECISION_PRIMED 3u  /* 1 once a label was seen */
#define ES_DECISION_EXCESS 4u  /* there with a distance only: its excess, smoothed, in [-2^18, 2^18] */

#endif
