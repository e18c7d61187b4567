"""Tables of models for the C programs of the tests."""

from __future__ import annotations


def cases_header(names: list[str]) -> str:
    """Text of ``cases.h``: models, their golden vectors and their size macros, by name."""
    rows = "".join(
        f'    {{"{n}", &{n}_model, &{n}_golden, {n.upper()}_CONTEXT_BYTES, {n.upper()}_STATE_BYTES, '
        f"sizeof({n}_memory_t)}},\n"
        for n in names
    )
    includes = "".join(f'#include "{name}.h"\n#include "{name}_golden.h"\n' for name in names)
    return (
        f'#include "edge_seq.h"\n{includes}'
        "typedef struct {\n    const char *name;\n    const es_model_t *model;\n    const es_golden_t *golden;\n"
        "    size_t context_bytes;\n    size_t state_bytes;\n    size_t memory_bytes;\n} case_t;\n"
        f"static const case_t es_cases[] = {{\n{rows}}};\nstatic const unsigned es_num_cases = {len(names)}u;\n"
    )
