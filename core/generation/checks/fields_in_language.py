"""Is every field in its language, from its first sentence to its last?"""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.triple import Flag, Triple
from core.generation.checks.language_mismatch import find_foreign_part, find_mismatch
from core.generation.checks.words import fields_of


def wrong_language(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A field is not in the language that was asked for. Labels are left alone: a task may name them in English."""
    for name, text, asked in _fields_with_language(triple):
        if mismatch := find_mismatch(text, asked):
            message = f"The {name} should be in {asked}: {mismatch.evidence}."
            yield Flag("wrong_language", message, name, round(max(0.3, mismatch.certainty), 2))


def mixed_languages(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A field begins in its language and goes on in another, or the other way round."""
    for name, text, asked in _fields_with_language(triple):
        if found := find_foreign_part(text, asked):
            part, mismatch = found
            message = f"A part of the {name} is not in {asked}, {mismatch.evidence}: “{part[:80]}”."
            yield Flag("mixed_languages", message, name, round(max(0.3, mismatch.certainty), 2))


def _fields_with_language(triple: Triple) -> Iterator[tuple[str, str, str]]:
    for name, text in fields_of(triple.texts):
        if triple.group is not TaskGroup.LONG_SHORT or name == "query":
            yield name, text, triple.language if name == "query" else triple.document_language
