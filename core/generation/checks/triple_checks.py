"""Checks that need no person and no model. They flag and never drop: a person, or a filter that a person chose, decides.

Each check is a function from a triple and the workspace's thresholds to flags. A flag has a code, words to show with their evidence, the
field, and a weight between 0 and 1 that says how strongly it speaks for a fault; the review queue sorts by the sum of weights. Checks
that need an encoder are in by_encoder.py, duplicates across the workspace in minhash.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from core.domain.checks import DEFAULT_THRESHOLDS, Thresholds
from core.domain.triple import Flag, Triple
from core.generation.checks.copies import copied_query, near_identical
from core.generation.checks.endings import truncated
from core.generation.checks.fields_in_language import mixed_languages, wrong_language
from core.generation.checks.labels import label_leak
from core.generation.checks.lengths import repetitive, wrong_length
from core.generation.checks.phrases import boilerplate, meta_talk, prompt_echo, refusal

Check = Callable[[Triple, Thresholds], Iterator[Flag]]
CHECKS: tuple[Check, ...] = (
    wrong_language, mixed_languages, wrong_length, truncated, copied_query, near_identical, refusal, boilerplate, prompt_echo, meta_talk,
    label_leak, repetitive,
)  # fmt: skip


def check_triple(triple: Triple, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Flag]:
    """All flags of one triple, at most one for each code and field."""
    found: dict[tuple[str, str], Flag] = {}
    for check in CHECKS:
        for flag in check(triple, thresholds):
            found.setdefault((flag.code, flag.field), flag)
    wrong = {field for code, field in found if code == "wrong_language"}
    return [flag for flag in found.values() if flag.code != "mixed_languages" or flag.field not in wrong]
