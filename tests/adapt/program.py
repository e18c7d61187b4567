"""A run of a head that learns, by the reference and as a C program that compares each of its results with it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_seq.backends.adapt import Learned, learn, nothing_learned, restore_learned, save_learned
from edge_seq.backends.reference_int import NO_LABEL, head_place, reset_state, step
from edge_seq.ir.model import IntModel
from firmware_export.emission import ctext

NOTHING, FACTORY, LEARNED, FORGET, AGAIN = -1, -2, -3, -4, -5  # lessons that are no class; AGAIN: save and restore


@dataclass(frozen=True)
class Result:
    """Results of a run: logits int64 [L, K], labels and decisions int64 [L], and what was learned at its end."""

    logits: np.ndarray
    labels: np.ndarray
    decisions: np.ndarray
    learned: Learned


def lessons_for(labels: int, classes: int, seed: int) -> list[int]:
    """Lessons after each of some labels: mostly a class, sometimes none, sometimes a switch."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, classes, labels)
    others = rng.choice([NOTHING, NOTHING, FACTORY, LEARNED, FORGET, AGAIN], labels)
    return np.where(rng.random(labels) < 0.6, given, others).tolist()


def run(
    model: IntModel,
    counts: np.ndarray,
    lessons: Sequence[int],
    examples: int,
    *,
    learned: Learned | None = None,
) -> Result:
    """The integer reference on a stream int16 [T, C], with a lesson after each label."""
    state = reset_state(model, 1)
    learned = nothing_learned(model, examples) if learned is None else learned
    logits, labels, decisions = [], [], []
    for sample in counts:
        state, values = step(model, sample[np.newaxis], state, learned)
        if (label := int(values["label"][0, 0])) == NO_LABEL:
            continue
        lesson = lessons[len(labels)]
        logits.append(values["logits"][0])
        labels.append(label)
        decisions.append(int(values.get("decision", values["label"])[0, 0]))
        if lesson >= 0:
            learned = learn(learned, values["logits"][0], head_place(model, values)[0], lesson)
        elif lesson == FORGET:
            learned = replace(nothing_learned(model, examples), in_use=learned.in_use)
        elif lesson == AGAIN:
            learned = restore_learned(model, save_learned(model, learned), examples)
        elif lesson != NOTHING:
            learned = replace(learned, in_use=lesson == LEARNED)
    return Result(np.array(logits), np.array(labels), np.array(decisions), learned)


HEADER = """#include "es_adapt.h"
#include "{name}.h"

static {name}_memory_t context_memory;
static union {{
    es_adapt_t alignment;
    uint8_t bytes[ES_ADAPT_BYTES({examples}, {values})];
}} adapt_memory;
static uint8_t saved[ES_ADAPT_SAVED_BYTES({examples}, {values})];
"""
BODY = """
static uint32_t crc_of(const uint8_t *bytes, size_t size)
{{
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0u; size--) {{
        unsigned bit;
        crc ^= *bytes++;
        for (bit = 0; bit < 8u; bit++) {{
            crc = (crc & 1u) != 0u ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
        }}
    }}
    return crc ^ 0xFFFFFFFFu;
}}

/* One lesson. Returns 1 if it was taken as it should be. */
static int teach(es_adapt_t *adapt, es_context_t *context, int lesson)
{{
    switch (lesson) {{
    case {NOTHING}:
        return 1;
    case {FACTORY}:
    case {LEARNED}:
        es_adapt_use(adapt, lesson == {LEARNED});
        return es_adapt_in_use(adapt) == (lesson == {LEARNED});
    case {FORGET}:
        es_adapt_forget(adapt);
        return es_adapt_held(adapt) == 0u;
    case {AGAIN}:
        if (es_adapt_save(adapt, saved, sizeof saved) != ES_OK) {{
            return 0;
        }}
        es_adapt_forget(adapt);
        return es_adapt_restore(adapt, saved, sizeof saved) == ES_OK;
    default:
        return es_adapt(context, (uint16_t)lesson) == ES_OK &&
               es_adapt(context, (uint16_t)lesson) == ES_ERROR_STATE; /* one lesson a label */
    }}
}}

/* 0, or where it differed first: 1 more than the number of the label, 1000 at the end, 2000 at the start. */
static uint32_t try_adapt(void)
{{
    es_context_t *context;
    es_adapt_t *adapt;
    uint32_t due = 0;
    uint32_t sample;
    unsigned k;

    if (es_adapt_init(&{name}_model, &adapt_memory, sizeof adapt_memory, &adapt) != ES_OK ||
        es_init(es_adapt_model(adapt), &context_memory, sizeof context_memory, &context) != ES_OK ||
        es_adapt_saved_bytes(adapt) != sizeof saved) {{
        return 2000;
    }}
    {begin}
    for (sample = 0; sample < {samples}u; sample++) {{
        int16_t counts[{channels}];
        uint16_t decision;
        for (k = 0; k < {channels}u; k++) {{
            counts[k] = ES_ROM_INT16(&case_counts[sample * {channels}u + k]);
        }}
        if (es_step(context, counts) != ES_LABEL_READY) {{
            continue;
        }}
        decision = es_decision(context) == ES_UNKNOWN ? {classes}u : es_decision(context);
        for (k = 0; k < {classes}u; k++) {{
            if (es_logits(context)[k] != ES_ROM_INT32(&case_logits[due * {classes}u + k])) {{
                return due + 1u;
            }}
        }}
        if (es_label(context) != ES_ROM_UINT16(&case_labels[due]) || decision != ES_ROM_UINT16(&case_decisions[due]) ||
            !teach(adapt, context, ES_ROM_INT16(&case_lessons[due]))) {{
            return due + 1u;
        }}
        due++;
    }}
    if (es_adapt_save(adapt, saved, sizeof saved) != ES_OK || crc_of(saved, sizeof saved) != {crc}u ||
        due != {labels}u) {{
        return 1000;
    }}
    return 0;
}}
"""
RESTORE = "if (es_adapt_restore(adapt, case_begun, sizeof case_begun) != ES_OK) { return 2000; }"


def write_program(
    model: IntModel,
    counts: np.ndarray,
    lessons: Sequence[int],
    examples: int,
    main: str,
    path: Path,
    *,
    begun: bytes = b"",
    begun_in_c: bytes = b"",
) -> Result:
    """Write the C program, and give the results of the reference that it compares with.

    ``begun``: what was learned before; the program takes it by es_adapt_restore, or ``begun_in_c`` instead.
    """
    learned = restore_learned(model, begun, examples) if begun else None
    result = run(model, counts, lessons, examples, learned=learned)
    assert len(result.labels) <= len(lessons)
    names = {"NOTHING": NOTHING, "FACTORY": FACTORY, "LEARNED": LEARNED, "FORGET": FORGET, "AGAIN": AGAIN}
    arrays = {
        "case_counts": ("int16_t", counts.ravel()),
        "case_logits": ("int32_t", result.logits.ravel()),
        "case_labels": ("uint16_t", result.labels),
        "case_decisions": ("uint16_t", result.decisions),
        "case_lessons": ("int16_t", np.array(lessons[: len(result.labels)])),
    }
    text = HEADER.format(name=model.name, examples=examples, values=model.head_size)
    for name, (kind, values) in arrays.items():
        text += ctext.array(kind, name, values, shape="of the case", rom=True)
    if begun:
        text += ctext.array("uint8_t", "case_begun", np.frombuffer(begun_in_c or begun, dtype=np.uint8), shape="saved")
    text += BODY.format(
        name=model.name,
        begin=RESTORE if begun else "",
        samples=len(counts),
        channels=model.num_channels,
        classes=model.num_classes,
        labels=len(result.labels),
        crc=zlib.crc32(save_learned(model, result.learned)),
        **names,
    )
    path.write_text(text + main, encoding="utf-8")
    return result
