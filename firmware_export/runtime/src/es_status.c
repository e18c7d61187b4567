#include "edge_seq.h"

const char *es_status_text(es_status_t status)
{
    static const char *const texts[(unsigned)ES_ERROR_FLASH + 1u] = {
        [ES_OK] = "ok",
        [ES_LABEL_READY] = "ok, a label is due",
        [ES_ERROR_ARGUMENT] = "a pointer is NULL",
        [ES_ERROR_MODEL] = "the model data and the runtime have different versions: export the model again",
        [ES_ERROR_SIZE] = "too small: use the size macros of the generated header",
        [ES_ERROR_ALIGNMENT] = "the memory is not aligned to ES_CONTEXT_ALIGNMENT",
        [ES_ERROR_STATE] = "the saved state is damaged or from another model",
        [ES_ERROR_SELF_TEST] = "the constants are damaged, or results differ from the golden vectors",
        [ES_CHECK_DONE] = "ok, all constants equal their checksums",
        [ES_ERROR_BLOB] = "not a blob of a model, or a damaged one",
        [ES_ERROR_BYTE_ORDER] = "the blob is for processors with the other byte order: export it again for this one",
        [ES_ERROR_CONTRACT] = "the sample rate, channels or labels of the blob are not those of this firmware",
        [ES_ERROR_FLASH] = "the flash does not hold what was written to it",
    };
    return (unsigned)status < sizeof texts / sizeof texts[0] ? texts[status] : "unknown status";
}
