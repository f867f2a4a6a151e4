"""Test collections in BEIR layout (Thakur et al. 2021): `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`, in a folder or a zip."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.domain.groups import TaskGroup
from core.domain.identity import has_half_character
from core.domain.ranking import Document, Qrels
from core.errors import BadRows, NotFound
from core.evaluation.collection import JudgedCollection, JudgedQuery
from core.storage.archives import Archive
from core.storage.database import translated_errors

PARTS = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
ANY_TASK = "Given a query, retrieve documents that answer it."  # for queries whose metadata names no task
LAYOUT = "A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/test.tsv."


def read_beir(read: Callable[[str], bytes]) -> JudgedCollection:
    """The collection whose parts `read` gives by name.

    A query's `metadata` may hold `task` (its instruction), `group` and `language`. Queries without a judgement above 0 are left out, as
    trec_eval does; documents with the same text stay apart, since judgements name ids.

    Raises:
        BadRows: a row cannot be used, or a judgement names an unknown id; the message gives file and line. Judgements are a whole: a test
            that lost some of its rows would give other numbers, so none is passed over.
    """
    documents = {row["_id"]: Document(row["_id"], row["text"], row.get("title") or "") for row in _rows(read, "corpus.jsonl")}
    queries = {row["_id"]: row for row in _rows(read, "queries.jsonl")}
    qrels = _judgements(read, queries, documents)
    if not qrels:
        raise BadRows("No query has a judgement above 0.", hint="qrels/test.tsv has the columns query-id, corpus-id and score.")
    judged = (_query(row, qrels[identifier]) for identifier, row in queries.items() if identifier in qrels)
    return JudgedCollection(tuple(judged), tuple(documents.values()))


def folder_reader(folder: Path) -> Callable[[str], bytes]:
    """Parts of a collection in a folder."""

    def read(part: str) -> bytes:
        path = folder / part
        if not path.is_file():
            raise NotFound(f"There is no {part} in {folder}.", hint=LAYOUT)
        with translated_errors():
            return path.read_bytes()

    return read


def zip_reader(data: bytes) -> Callable[[str], bytes]:
    """Parts of a collection in a zip, wherever in it the folder lies; read in memory, so no path of the archive is ever written to.

    Raises:
        BadInput: not a zip. The reader it returns raises NotFound for a part that is not there.
    """
    archive = Archive(data)

    def read(part: str) -> bytes:
        names = sorted((n for n in archive.names if f"/{n}".endswith(f"/{part}")), key=len)
        if not names:
            raise NotFound(f"The zip holds no {part}.", hint=LAYOUT)
        return archive.read(names[:1])[names[0]]

    return read


def _lines(read: Callable[[str], bytes], part: str) -> Iterator[tuple[int, str]]:
    try:
        text = read(part).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRows(f"{part} is not UTF-8 (byte {error.start + 1}).", hint="Save it as UTF-8 and bring it again.") from error
    yield from ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _rows(read: Callable[[str], bytes], part: str) -> Iterator[dict[str, Any]]:
    """Objects of a JSONL part, each with a text `_id` of its own and a text `text`."""
    seen: set[str] = set()
    for number, line in _lines(read, part):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad(part, number, f"is not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("_id"), str | int) or row["_id"] == "":
            raise _bad(part, number, "has no _id")
        row["_id"] = str(row["_id"])
        if row["_id"] in seen:
            raise _bad(part, number, f"repeats the _id {row['_id'][:40]}")
        if not isinstance(row.get("text"), str) or not (row["text"].strip() or row.get("title")):
            raise _bad(part, number, f"({row['_id'][:40]}) has no text")
        if not isinstance(row.get("title") or "", str) or has_half_character(f"{row['_id']}{row['text']}{row.get('title') or ''}"):
            raise _bad(part, number, f"({row['_id'][:40]}) holds something that is no text")
        seen.add(row["_id"])
        yield row
    if not seen:
        raise BadRows(f"{part} is empty.", hint=LAYOUT)


def _judgements(read: Callable[[str], bytes], queries: Mapping[str, Any], documents: Mapping[str, Any]) -> Qrels:
    """Grades above 0, best document of a query first."""
    part = "qrels/test.tsv"
    found: Qrels = {}
    for number, line in _lines(read, part):
        cells = line.rstrip("\r").split("\t")
        if number == 1 and cells[-1].strip().lower() == "score":
            continue
        if len(cells) != 3 or not re.fullmatch(r"-?[0-9]{1,9}", cells[2].strip()):
            raise _bad(part, number, "is not query-id, corpus-id and a whole score, with tabs between")
        query, document, grade = cells[0], cells[1], int(cells[2])
        if query not in queries or document not in documents:
            name = query if query not in queries else document
            raise _bad(part, number, f"names {name[:40]}, which is not among the {'queries' if name == query else 'documents'}")
        if grade > 0:
            found.setdefault(query, {})[document] = grade
    return {query: dict(sorted(grades.items(), key=lambda item: -item[1])) for query, grades in found.items()}


def _query(row: dict[str, Any], grades: Mapping[str, int]) -> JudgedQuery:
    facts = row.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    words = {name: str(facts[name]) for name in ("task", "group", "language") if isinstance(facts.get(name), str) and facts[name].strip()}
    group = words.get("group", TaskGroup.SHORT_LONG.value)
    return JudgedQuery(row["_id"], row["text"], words.get("task", ANY_TASK), group, words.get("language", "not told"), grades)


def _bad(part: str, line: int, what: str) -> BadRows:
    return BadRows(f"{part}, line {line} {what}.", hint="Mend the line and try again; a test with rows left out would give other numbers.")
