"""JSON schemas of replies: what an endpoint is asked to hold its answer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.domain.groups import GROUPS, TaskGroup
from core.domain.languages import LANGUAGES
from core.domain.triple import SlotValue

CHARACTERS_A_WORD = 7.0  # English letters with the space, generously
SHORT_WORDS = 30  # a field asked to be shorter than this gets a maximum; longer ones are ended at a sentence by the teacher itself
BOUNDED_WORDS = 100  # about what the embedded teacher writes at most, however much was asked
LENGTHS = {"less than 10": 10, "at least 10": 20, "at least 50": 60, "at least 100": 110, "at least 200": 210}


def example_schema(group: TaskGroup, slots: Mapping[str, SlotValue], *, bounded: bool = False) -> dict[str, Any]:
    """Schema of one example.

    Args:
        group: Decides the fields.
        slots: Decide how long each field may get, where bounded.
        bounded: Put minLength and maxLength on the texts. Only for the embedded teacher, whose decoding is held to the schema:
            a small model otherwise rambles to the token limit. Hosted APIs refuse these words in strict schemas.
    """
    facts = GROUPS[group]
    properties: dict[str, Any] = {}
    for name in facts.fields:
        properties[name] = {"type": "string", **(_bounds(group, name, slots) if bounded else {})}
    return _object(properties)


def task_list_schema(count: int, *, bounded: bool = False) -> dict[str, Any]:
    """Schema of a brainstorm reply: `{"tasks": [{"task", "topic"}, …]}`."""
    item = _object(
        {
            "task": {"type": "string", **({"minLength": 30} if bounded else {})},
            "topic": {"type": "string", **({"minLength": 3, "maxLength": 30} if bounded else {})},
        }
    )
    tasks: dict[str, Any] = {"type": "array", "items": item, **({"minItems": count, "maxItems": count} if bounded else {})}
    return _object({"tasks": tasks})


def field_schema(name: str) -> dict[str, Any]:
    """Schema of a reply that holds one text: `{name: "…"}`."""
    return _object({name: {"type": "string"}})


def words_asked(group: TaskGroup, name: str, slots: Mapping[str, SlotValue]) -> int:
    """About how many words a field is asked to have."""
    facts = GROUPS[group]
    if group is TaskGroup.SHORT_LONG:
        return 12 if name == facts.query_field else int(slots.get("num_words", 100))
    if group is TaskGroup.LONG_SHORT:
        return LENGTHS.get(str(slots.get("num_words")), 60) if name == facts.query_field else 3
    if group is TaskGroup.LONG_LONG:
        return 320
    if group is TaskGroup.SHORT_SHORT:
        return 10
    return {"phrase": 7, "sentence": 18, "passage": 60}.get(str(slots.get("unit")), 18)


def _bounds(group: TaskGroup, name: str, slots: Mapping[str, SlotValue]) -> dict[str, int]:
    words = min(words_asked(group, name, slots), BOUNDED_WORDS)
    target = slots.get("tgt_lang") if name != GROUPS[group].query_field else None
    language = LANGUAGES.get(str(target or slots.get("language") or slots.get("src_lang")))
    size = (language.characters_a_word if language else None) or CHARACTERS_A_WORD
    least = max(2, round(words * size * 0.25))
    return {"minLength": least} if words >= SHORT_WORDS else {"minLength": least, "maxLength": max(24, round(words * size * 1.5))}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
