"""Read replies: finish reason first, then JSON, then shape. Nothing is ever executed, and every refusal has a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.domain.chat import ChatReply
from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import has_half_character
from core.domain.triple import Texts
from core.generation.checks.phrases import find_refusal
from core.generation.replies.mending import RepeatedKeyError, mended, strict_prefix

FENCE = re.compile(r"(?:```|~~~)[A-Za-z0-9_-]*[ \t]*\n(.*?)(?:```|~~~|\Z)", re.DOTALL)
# Some servers leave the model's reasoning in the text, with or without its opening tag.
THOUGHTS = re.compile(r"\A(?:\s*<think(?:ing)?>.*|[^{]*)</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
BLANK = re.compile(r"[\s,\ufeff\u200b\u2060]*")  # between the brace and the first key
OPEN_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>", re.IGNORECASE)
LEADING_NUMBER = re.compile(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s+")
WRAPPERS = ("example", "data", "result", "output", "response", "json", "properties", "reply", "answer")
LONGEST_TASK = 500  # characters; a longer "sentence" is something else
SHORTEST_TASK = 15
MOST_STARTS = 40  # braces at which a reply is tried before it counts as unreadable

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
ENDINGS = {
    "length": "length", "max_tokens": "length", "model_length": "length", "content_filter": "content_filter", "safety": "content_filter",
    "refusal": "refusal",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a reply. `reason` is empty when `value` can be used."""

    value: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    repaired: bool = False  # broken JSON was mended (a trailing comma, single quotes, a missing brace)


def read_object(reply: ChatReply, wanted: Collection[str] = ()) -> Reading:
    """The JSON object of a reply; of several the first that has the `wanted` keys, else the first.

    The finish reason is read before the text: repairing a reply that was cut off would invent its end (json_repair closes what is open).
    """
    if reason := ENDINGS.get(reply.finish_reason.casefold()):
        return Reading(reason=reason, detail=REASONS[reason])
    text = THOUGHTS.sub("", reply.text)
    if not text.strip():
        return Reading(reason="empty", detail=REASONS["empty"])
    if OPEN_THOUGHT.match(text):
        return Reading(reason="length", detail="The reply was cut off while the model was still reasoning.")
    names = {fold_key(name) for name in wanted}
    first: Reading | None = None
    for body in _bodies(text):
        for value in _whole_objects(body):
            if isinstance(value, Reading):
                return value
            found = Reading(_unwrapped(value, names))
            if names <= {fold_key(key) for key in found.value}:
                return found
            first = first or found
    return first or _mended(text, names)


def read_example(group: TaskGroup, reply: ChatReply) -> tuple[Texts | None, Reading]:
    """The texts of one example, or None and why."""
    facts = GROUPS[group]
    texts, reading = read_texts(facts.fields, reply)
    if reading.reason:
        return None, reading
    negative = texts[facts.negative_field] if facts.negative_field else None
    return Texts(texts[facts.query_field], texts[facts.positive_field], negative), reading


def read_texts(names: Sequence[str], reply: ChatReply) -> tuple[dict[str, str], Reading]:
    """The texts of a reply by the names of their fields; none, with a reason, where one of them is missing or no text."""
    reading = read_object(reply, names)
    if reading.reason:
        return {}, reading
    given = {fold_key(key): value for key, value in reading.value.items()}
    texts: dict[str, str] = {}
    for name in names:
        value = given.get(fold_key(name))
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # a label such as 3
        if not isinstance(value, str):
            found = "missing" if fold_key(name) not in given else f"a {type(value).__name__}, not text"
            return {}, Reading(reason="wrong_shape", detail=f"The field “{name}” is {found}.")
        if not value.strip():
            return {}, Reading(reason="blank_field", detail=f"The field “{name}” is blank.")
        if has_half_character(value):
            return {}, Reading(reason="wrong_shape", detail=f"The field “{name}” holds half of a character.")
        texts[name] = value.strip()
    return texts, reading


def read_tasks(reply: ChatReply) -> tuple[list[tuple[str, str]], Reading]:
    """(task, topic) pairs of a brainstorm reply in their order, unusable entries left out; empty with a reason where none is left."""
    reading = read_object(reply, ("tasks",))
    if (listed := _listed(reply)) is not None and not isinstance(reading.value.get("tasks"), list):
        reading = listed
    if reading.reason:
        return [], reading
    entries = next((value for key, value in reading.value.items() if fold_key(key) == "tasks"), None)
    if isinstance(entries, dict):
        entries = list(entries.values())  # {"1": …, "2": …}
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


def fold_key(key: object) -> str:
    """Keys differ in case, spaces, dashes and underscores from model to model, and mean the same."""
    return re.sub(r"[\W_]+", "", str(key)).casefold()


def _bodies(text: str) -> Iterator[str]:
    """The whole reply first: a fence inside a document must not be taken for the fence around the reply. Then what is fenced."""
    if text.lstrip().startswith('"') and text.rstrip().endswith('"'):  # JSON inside a JSON string
        try:
            inner = json.loads(text, strict=False)
        except ValueError:
            inner = ""
        if isinstance(inner, str) and "{" in inner:
            yield inner
    yield text
    yield from (found.group(1) for found in FENCE.finditer(text) if "{" in found.group(1))


def _whole_objects(body: str) -> Iterator[dict[str, Any] | Reading]:
    """JSON objects of a text that need no mending, one after the other; none inside another.

    A brace that opens nothing readable ends the search unless it stands in prose: what follows it may be a piece of a broken object.
    """
    place, tried = body.find("{"), 0
    while place >= 0 and tried < MOST_STARTS:
        tried += 1
        try:
            value, length = strict_prefix(body[place:])
        except RepeatedKeyError as error:
            yield Reading(reason="wrong_shape", detail=f"In the reply {error}.")
            return
        except (ValueError, RecursionError):
            if _opens_object(body, place):
                return
            place = body.find("{", place + 1)
            continue
        if isinstance(value, dict) and value:
            yield value
        place = body.find("{", place + length)


def _opens_object(body: str, place: int) -> bool:
    """Whether the brace looks like the start of an object, with a key after it, and not like prose or a doubled brace."""
    rest = BLANK.sub("", body[place + 1 : place + 400], count=1)
    while rest.startswith(("//", "#", "/*")):  # comments, line by line: one pattern for all of them backtracks without end
        rest = BLANK.sub("", rest.partition("\n")[2], count=1)
    return re.match(r"[\"'“]|\w+\s*:", rest) is not None


def _mended(text: str, names: set[str]) -> Reading:
    """Mend the first thing in the reply that looks like an object."""
    start = next((m.start() for m in re.finditer(r"\{", text) if _opens_object(text, m.start())), -1)
    if start < 0:
        refused = find_refusal(text)
        if refused and "{" not in text:
            return Reading(reason="refusal", detail=f"{REASONS['refusal']} “{refused}”")
        return Reading(reason="not_json", detail=REASONS["not_json"])
    body = text[start:]
    closed = body[: body.rfind("}") + 1]
    try:
        if not _has_no_end(body):
            return _object(mended(_within(closed)), names)
        value = mended(_unfenced(body) + "}") if _ends_after_text(body) else None
    except (ValueError, RecursionError) as error:
        return Reading(reason="not_json", detail=f"{REASONS['not_json']} ({error})"[:200])
    if isinstance(value, dict) and names and names <= {fold_key(key) for key in value}:
        return Reading(value, repaired=True)  # every field is there and the last one is closed: only the brace was forgotten
    return Reading(reason="length", detail="The JSON object has no end: the reply was cut off although the endpoint calls it complete.")


def _object(value: object, names: set[str]) -> Reading:
    if not isinstance(value, dict) or not value:
        return Reading(reason="not_json", detail=REASONS["not_json"])
    return Reading(_unwrapped(value, names), repaired=True)


def _unwrapped(value: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The object inside {"example": {…}}, where only that one has the wanted keys."""
    if names and not names & {fold_key(key) for key in value}:
        for key, inner in value.items():
            if fold_key(key) in WRAPPERS and isinstance(inner, dict) and names <= {fold_key(k) for k in inner}:
                return inner
    return value


def _within(closed: str) -> str:
    """Up to the brace that closes the object, where one does before prose that holds a brace of its own."""
    end = _end_of_object(closed)
    return closed[:end] if end else closed


def _has_no_end(body: str) -> bool:
    """Whether broken JSON was cut off: it neither ends with a brace nor closes one before the prose that follows."""
    return not _unfenced(body).endswith(("}", "}]")) and _end_of_object(body) == 0


def _end_of_object(body: str) -> int:
    """Where the first brace is closed, texts in double quotes left out; 0 where it is not."""
    depth, quoted, escaped = 0, False, False
    for place, character in enumerate(body):
        if quoted:
            quoted, escaped = (character != '"' or escaped), (character == "\\" and not escaped)
        elif character == '"':
            quoted = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return place + 1
    return 0


def _ends_after_text(body: str) -> bool:
    """Whether every text that was opened is closed, and nothing follows the last one."""
    unescaped = re.sub(r"\\.", "", _unfenced(body), flags=re.DOTALL)
    return unescaped.endswith('"') and unescaped.count('"') % 2 == 0


def _unfenced(body: str) -> str:
    return re.sub(r"(?:\s|```|~~~|<\|[a-z_]+\|>|</s>)+\Z", "", body)


def _listed(reply: ChatReply) -> Reading | None:
    """A task list that is no object: a bare JSON list, or numbered lines of plain text. None where the reply has neither."""
    if reply.finish_reason.casefold() in ENDINGS:
        return None
    text = THOUGHTS.sub("", reply.text)
    start, brace = text.find("["), text.find("{")
    if start >= 0 and (brace < 0 or start < brace) and "]" in text[start:]:
        try:
            value = mended(text[start : text.rfind("]") + 1])
        except (ValueError, RecursionError):
            return None
        return Reading({"tasks": value}) if isinstance(value, list) else None
    lines = [line for line in text.splitlines() if LEADING_NUMBER.match(line)]
    return Reading({"tasks": [line.replace("**", "") for line in lines]}) if brace < 0 and len(lines) >= 2 else None


def _clean_task(text: str) -> str:
    return LEADING_NUMBER.sub("", " ".join(text.split())).strip().strip("\"“”'").strip()
