"""Read the shipped files: every record with its id, and why one cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.domain.dataset import Fallbacks
from core.domain.triple import Triple
from core.errors import NotFound
from core.review.rows import UnusableRowError, triple_of
from core.storage.database import translated_errors

STARTER_KEYS = ("id", "group", "task", "topic", "language", "target_language", "slots", "query", "positive", "negative")
FAULT_KEYS = (*STARTER_KEYS[1:], "id", "fault", "twin", "note")


class Fault(StrEnum):
    """What is wrong with a triple of the gold set; each triple has one."""

    FALSE_NEGATIVE = "false_negative"
    SWAPPED = "swapped"
    POSITIVE_DOES_NOT_ANSWER = "positive_does_not_answer"
    TOO_EASY_NEGATIVE = "too_easy_negative"
    QUERY_COPIED = "query_copied"
    NEAR_IDENTICAL = "near_identical"
    WRONG_LANGUAGE = "wrong_language"
    MIXED_LANGUAGES = "mixed_languages"
    TOO_SHORT = "too_short"
    REFUSAL_OR_BOILERPLATE = "refusal_or_boilerplate"
    RELEVANCE_EXPLAINED = "relevance_explained"
    LABEL_LEAK = "label_leak"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a shipped file."""

    id: str
    triple: Triple
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be so. `record` is the record's id, or a file and line, or "" for a count."""

    check: str
    record: str
    message: str


def read_starter(folder: Path) -> tuple[list[Record], list[Finding]]:
    """All records of `data/starter`, file by file.

    Raises:
        NotFound: the folder holds no JSONL file.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise NotFound(f"There is no starter set in {folder}.", hint="Get the files again from the project's repository.")
    records: list[Record] = []
    findings: list[Finding] = []
    for path in files:
        for found in _read(path, STARTER_KEYS):
            if isinstance(found, Finding):
                findings.append(found)
                continue
            records.append(found)
            if found.triple.group.value != path.stem:
                findings.append(Finding("schema", found.id, f"is in {path.name} and of group {found.triple.group.value}"))
    return records, findings + list(_repeated(records))


def read_faults(folder: Path) -> tuple[list[Record], list[Finding]]:
    """All records of `data/faults`: the faulty ones, then the clean look-alikes."""
    records: list[Record] = []
    findings: list[Finding] = []
    for name in ("faults.jsonl", "clean.jsonl"):
        for found in _read(folder / name, FAULT_KEYS):
            (findings if isinstance(found, Finding) else records).append(found)  # type: ignore[arg-type]
    return records, findings + list(_repeated(records))


def _read(path: Path, keys: tuple[str, ...]) -> Iterator[Record | Finding]:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Get the files again from the project's repository.")
    with translated_errors():
        lines = path.read_text(encoding="utf-8").split("\n")  # a text may hold the other characters that splitlines breaks at
    for number, line in ((n, text) for n, text in enumerate(lines, 1) if text.strip()):
        where = f"{path.name}:{number}"
        try:
            row = json.loads(line)
            where = row.get("id") or where
            triple = triple_of(row, "starter", Fallbacks())
        except (ValueError, AttributeError, UnusableRowError) as error:
            yield Finding("schema", where, str(error))
            continue
        if tuple(row) != keys or not isinstance(row["id"], str):
            yield Finding("schema", where, f"has the keys {', '.join(row)}; these are wanted, in this order: {', '.join(keys)}")
            continue
        yield Record(row["id"], triple, row)


def _repeated(records: list[Record]) -> Iterator[Finding]:
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            yield Finding("schema", record.id, "this id stands twice")
        seen.add(record.id)
