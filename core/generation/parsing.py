"""Read replies: finish reason first, then JSON, then shape. Nothing is ever executed, and every refusal has a reason."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import json_repair

from core.domain.chat import ChatReply
from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import has_half_character
from core.domain.triple import Texts

FENCE = re.compile(r"```[A-Za-z0-9_-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
LEADING_NUMBER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s+")
LONGEST_TASK = 500  # characters; a longer "sentence" is something else
SHORTEST_TASK = 15

REASONS = {
    "length": "The reply was cut off at the token limit.",
    "content_filter": "The endpoint's content filter stopped the reply.",
    "refusal": "The model refused to answer.",
    "empty": "The reply was empty.",
    "not_json": "The reply holds no readable JSON object.",
    "wrong_shape": "The JSON object lacks a field or holds something else than text in it.",
    "blank_field": "A field of the reply is blank.",
    "no_tasks": "The reply holds no usable task.",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a reply. `reason` is empty when `value` can be used."""

    value: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    repaired: bool = False  # broken JSON was mended (a trailing comma, raw newlines, single quotes)


def read_object(reply: ChatReply) -> Reading:
    """The JSON object of a reply.

    The finish reason is read before the text: repairing a reply that was cut off would invent its end (json_repair closes what is open).
    """
    reason = {"length": "length", "max_tokens": "length", "content_filter": "content_filter", "refusal": "refusal"}.get(reply.finish_reason)
    if reason:
        return Reading(reason=reason, detail=REASONS[reason])
    if not reply.text.strip():
        return Reading(reason="empty", detail=REASONS["empty"])
    body = _object_in(reply.text)
    return Reading(reason="not_json", detail=REASONS["not_json"]) if body is None else _decoded(body)


def read_example(group: TaskGroup, reply: ChatReply) -> tuple[Texts | None, Reading]:
    """The texts of one example, or None and why."""
    reading = read_object(reply)
    if reading.reason:
        return None, reading
    given = {str(key).strip().casefold(): value for key, value in reading.value.items()}
    texts: dict[str, str] = {}
    for name in GROUPS[group].fields:
        value = given.get(name.casefold())
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # a label such as 3
        if not isinstance(value, str):
            found = "missing" if name.casefold() not in given else f"a {type(value).__name__}, not text"
            return None, Reading(reason="wrong_shape", detail=f"The field “{name}” is {found}.")
        if not value.strip():
            return None, Reading(reason="blank_field", detail=f"The field “{name}” is blank.")
        if has_half_character(value):
            return None, Reading(reason="wrong_shape", detail=f"The field “{name}” holds half of a character.")
        texts[name] = value.strip()
    facts = GROUPS[group]
    negative = texts[facts.negative_field] if facts.negative_field else None
    return Texts(texts[facts.query_field], texts[facts.positive_field], negative), reading


def read_tasks(reply: ChatReply) -> tuple[list[tuple[str, str]], Reading]:
    """(task, topic) pairs of a brainstorm reply in their order, unusable entries left out; empty with a reason where none is left."""
    reading = read_object(reply) if _object_in(reply.text) is not None or reply.finish_reason != "stop" else _bare_list(reply)
    if reading.reason:
        return [], reading
    entries = reading.value.get("tasks")
    if not isinstance(entries, list):
        return [], Reading(reason="wrong_shape", detail="The reply has no list under “tasks”.")
    found: dict[str, tuple[str, str]] = {}
    for entry in entries:
        text, topic = (entry.get("task"), entry.get("topic")) if isinstance(entry, dict) else (entry, "")
        if (
            isinstance(text, str)
            and not has_half_character(f"{text}{topic}")
            and SHORTEST_TASK <= len(cleaned := _clean_task(text)) <= LONGEST_TASK
        ):
            found.setdefault(cleaned.casefold(), (cleaned, topic.strip()[:60] if isinstance(topic, str) else ""))
    if not found:
        return [], Reading(reason="no_tasks", detail=REASONS["no_tasks"])
    return list(found.values()), reading


def _bare_list(reply: ChatReply) -> Reading:
    start, end = reply.text.find("["), reply.text.rfind("]")
    if 0 <= start < end:
        return _decoded('{"tasks": ' + reply.text[start : end + 1] + "}")
    return Reading(reason="not_json" if reply.text.strip() else "empty", detail=REASONS["not_json" if reply.text.strip() else "empty"])


def _object_in(text: str) -> str | None:
    """From the first brace on, out of its fence if it has one."""
    fenced = FENCE.search(text)
    body = fenced.group(1) if fenced and "{" in fenced.group(1) else text
    start = body.find("{")
    return body[start:] if start >= 0 else None


def _decoded(body: str) -> Reading:
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(body)  # strict=False: raw newlines inside texts
        return _object(value)
    except (ValueError, RecursionError):
        pass
    if _has_no_end(body):  # some servers say "stop" for a reply that was cut off
        return Reading(reason="length", detail="The JSON object has no end: the reply was cut off although the endpoint calls it complete.")
    try:
        return _object(json_repair.loads(body[: body.rfind("}") + 1], skip_json_loads=True), repaired=True)
    except (ValueError, RecursionError) as error:
        return Reading(reason="not_json", detail=f"{REASONS['not_json']} ({error})"[:200])


def _object(value: object, *, repaired: bool = False) -> Reading:
    if not isinstance(value, dict) or not value:
        return Reading(reason="not_json", detail=REASONS["not_json"])
    return Reading(value, repaired=repaired)


def _has_no_end(body: str) -> bool:
    """Whether broken JSON was cut off: it neither ends with a brace nor closes one before the prose that follows."""
    if body.rstrip().endswith("}"):
        return False
    depth, quoted, escaped = 0, False, False
    for character in body:
        if quoted:
            quoted, escaped = (character != '"' or escaped), (character == "\\" and not escaped)
        elif character == '"':
            quoted = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return False
    return True


def _clean_task(text: str) -> str:
    return LEADING_NUMBER.sub("", " ".join(text.split())).strip().strip("\"“”'").strip()
