"""Read the rows of an imported file: the good ones become triples, the others keep their line and reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

    line: int  # from 1
    reason: str


class UnusableRowError(ValueError):
    """A row's reason, on its way to BadRow."""


def read_rows(data: bytes, *, source: str, fallbacks: Fallbacks) -> tuple[list[Triple], list[BadRow]]:
    """Triples and bad rows of a JSONL file (UTF-8, with or without a byte order mark); blank lines are passed over."""
    good: list[Triple] = []
    bad: list[BadRow] = []
    for number, line in _lines(data):
        try:
            good.append(triple_of(_object(line), source, fallbacks))
        except UnusableRowError as error:
            bad.append(BadRow(number, str(error)))
    return good, bad


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, line.strip()


def _object(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnusableRowError(f"is not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise UnusableRowError(f"is not JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise UnusableRowError("is nested too deeply") from error
    if not isinstance(row, dict):
        raise UnusableRowError("is not a JSON object with named values")
    return row


def triple_of(row: dict[str, Any], source: str, fallbacks: Fallbacks) -> Triple:
    """The triple of one row.

    Raises:
        UnusableRowError: with the reason.
    """
    paired = "anchor" in row and "query" not in row  # the form sentence-transformers uses
    group = _group(row, fallbacks.group if paired else None)
    fixed = GROUPS[group].fixed_task
    task = _text(row, "task", absent=fixed or (fallbacks.task if paired else None))
    texts = Texts(_text(row, "anchor" if paired else "query"), _text(row, "positive"), _optional(row, "negative"))
    if texts.negative is not None and normalise(texts.negative) == normalise(texts.positive):
        raise UnusableRowError("positive and negative are the same text")
    target = _optional(row, "target_language", blank=True)
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
