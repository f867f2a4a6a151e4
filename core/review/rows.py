"""One row of an imported file becomes a triple, or a reason why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.domain.dataset import Fallbacks
from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import has_half_character, normalise
from core.domain.triple import SlotValue, Texts, Triple

LONGEST_TEXT = 100_000  # characters


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used."""

    line: int  # from 1; of a Parquet or Arrow file the number of the row
    reason: str
    part: str = ""  # file of a folder or zip


class UnusableRowError(ValueError):
    """A row's reason, on its way to BadRow."""


def triple_of(row: dict[str, Any], source: str, fallbacks: Fallbacks, *, bare: bool = False) -> Triple:
    """The triple of one row; a `bare` one, of a form without group and task, takes both from the fallbacks.

    Raises:
        UnusableRowError: with the reason.
    """
    group = _group(row, fallbacks.group if bare else None)
    fixed = GROUPS[group].fixed_task
    task = _text(row, "task", absent=fixed or (fallbacks.task if bare else None))
    texts = Texts(_text(row, "query"), _text(row, "positive"), _optional(row, "negative"))
    if texts.negative is not None and normalise(texts.negative) == normalise(texts.positive):
        raise UnusableRowError("positive and negative are the same text")
    target = _optional(row, "target_language", blank=True) or (fallbacks.target_language if group is TaskGroup.BITEXT else None)
    if group is TaskGroup.BITEXT and target is None:
        raise UnusableRowError("target_language is missing, which bitext needs")
    return Triple(
        group=group,
        task=normalise(task),
        texts=texts,
        language=_text(row, "language", absent=fallbacks.language),
        target_language=target,
        topic=_optional(row, "topic", blank=True) or "",
        slots=_slots(row.get("slots")),
        source=source,
    )


def _group(row: dict[str, Any], absent: TaskGroup | None) -> TaskGroup:
    value = row.get("group")
    if value is None and absent:
        return absent
    try:
        return TaskGroup(str(value))
    except ValueError as error:
        known = ", ".join(group.value for group in TaskGroup)
        said = "group is missing" if value is None else f"group {str(value)[:40]!r} is unknown"
        raise UnusableRowError(f"{said}; it is one of {known}") from error


def _text(row: dict[str, Any], key: str, *, absent: str | None = None) -> str:
    value = row.get(key)
    if value is None:
        if absent is not None:
            return absent
        raise UnusableRowError(f"{key} is missing")
    if not isinstance(value, str):
        raise UnusableRowError(f"{key} is not a text but {type(value).__name__}")
    if not value.strip():
        raise UnusableRowError(f"{key} is blank")
    if len(value) > LONGEST_TEXT:
        raise UnusableRowError(f"{key} has {len(value):,} characters; at most {LONGEST_TEXT:,} can be used")
    if "\x00" in value:
        raise UnusableRowError(f"{key} holds a NUL character")
    if has_half_character(value):
        raise UnusableRowError(f"{key} holds half of a character (a lone surrogate)")
    return value.strip()


def _optional(row: dict[str, Any], key: str, *, blank: bool = False) -> str | None:
    """A text or None; with `blank`, a blank text counts as none."""
    value = row.get(key)
    absent = value is None or (blank and isinstance(value, str) and not value.strip())
    return None if absent else _text(row, key)


def _slots(value: Any) -> Mapping[str, SlotValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnusableRowError("slots is not an object with named values")
    for name, slot in value.items():
        if isinstance(slot, bool) or not isinstance(slot, str | int | float):
            raise UnusableRowError(f"slot {name[:40]!r} is neither a text nor a number")
    return value
