"""How long a text was asked to be, in the words a person and a model read."""

from __future__ import annotations

from core.domain.groups import TaskGroup
from core.domain.triple import Triple


def length_asked(triple: Triple, name: str) -> str:
    """What the slots of a triple asked of its query, positive or negative, such as “at least 200 words”; "" where they asked nothing."""
    slots, document = triple.slots, name != "query"
    if triple.group is TaskGroup.SHORT_LONG:
        if document:
            return f"at least {slots['num_words']} words" if "num_words" in slots else ""
        return str(slots.get("query_length", ""))
    if triple.group is TaskGroup.LONG_SHORT and not document and "num_words" in slots:
        return f"{slots['num_words']} words"
    if triple.group is TaskGroup.LONG_LONG and slots:
        return "at least 300 words"
    if triple.group in (TaskGroup.STS, TaskGroup.BITEXT) and "unit" in slots:
        return f"one {slots['unit']}"
    return ""
