"""Rows in the forms other trainers read, both ways, and what each form cannot hold.

The forms are those of sentence-transformers (anchor, positive, negative), FlagEmbedding (query, pos, neg, prompt, type: its embedder
README) and Tevatron (query_id, query, positive_passages, negative_passages: its TrainDataset).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.dataset import ExportFormat
from core.domain.encoder import instructed_query
from core.domain.groups import GROUPS, TaskGroup
from core.domain.ranking import Document, document_of

Row = dict[str, Any]

KEYS = ("group", "task", "language", "target_language", "topic", "slots", "query", "positive", "negative")
FORM_KEYS = ("group", "task", "query", "positive", "negative")  # what the forms of trainers hold
HELD: Mapping[ExportFormat, tuple[str, ...]] = {
    ExportFormat.JSONL: KEYS,
    ExportFormat.CSV: KEYS,
    ExportFormat.PARQUET: KEYS,
    ExportFormat.HUGGING_FACE: KEYS,
    ExportFormat.BEIR: KEYS,
    ExportFormat.SENTENCE_TRANSFORMERS: FORM_KEYS,
    ExportFormat.FLAGEMBEDDING: FORM_KEYS,
    ExportFormat.TEVATRON: FORM_KEYS,
}
NEVER_HELD = "who decided what and when, its source with the sampling weight, and the prompt, model and request it came from"
TYPES = {  # FlagEmbedding's `type`, by the kind of a group
    "retrieval": "normal",
    "classification": "symmetric_class",
    "matching": "normal",
    "similarity": "symmetric_sts",
    "translation": "normal",
}
QUERY_NAMES = ("anchor", "query", "question", "sentence1")
POSITIVE_NAMES = ("positive", "answer", "passage", "document", "sentence2")
NEGATIVE_NAMES = re.compile(r"negative(_\d+)?$")
INSTRUCTED = re.compile(r"Instruct: ([^\n]+)\nQuery: (.*)", re.DOTALL)


def lost_in(format_: ExportFormat) -> str:
    """What does not come back from a file of this format, in words."""
    missing = [key.replace("_", " ") for key in KEYS if key not in HELD[format_]]
    words = [f"{', '.join(missing)} of each triple"] if missing else []
    if format_ is ExportFormat.BEIR:
        words.append("of a query with more hard negatives than answers the further negatives, and which of them stood beside which answer")
        words.append("of further triples of a query their topic and slots")
    if format_ in (ExportFormat.SENTENCE_TRANSFORMERS, ExportFormat.TEVATRON):
        words.append("the task where it is written without its instruction")
    return "; ".join([*words, NEVER_HELD])


def as_sentence_transformers(row: Row, *, instruction: bool = True) -> Row:
    """Columns in the order its losses read them; a column more would be taken for another text."""
    anchor = instructed_query(row["task"] if instruction else None, row["query"])
    texts = {"anchor": anchor, "positive": row["positive"]}
    return texts if row["negative"] is None else {**texts, "negative": row["negative"]}


def as_flagembedding(row: Row) -> Row:
    """`prompt` is the instruction: its `query_instruction_format` can give the paper's query text (see core.review.loading_notes)."""
    negatives = [] if row["negative"] is None else [row["negative"]]
    kind = TYPES[GROUPS[TaskGroup(row["group"])].kind]
    return {"query": row["query"], "pos": [row["positive"]], "neg": negatives, "prompt": row["task"], "type": kind}


def as_tevatron(row: Row, *, instruction: bool = True) -> Row:
    """Passages without a title: its reader would put a space before the text of an empty one."""
    negatives = [] if row["negative"] is None else [row["negative"]]
    return {
        "query_id": row["id"],
        "query": instructed_query(row["task"] if instruction else None, row["query"]),
        "positive_passages": [_passage(row["positive"])],
        "negative_passages": [_passage(text) for text in negatives],
    }


def _passage(text: str) -> Row:
    return {"docid": document_of(text).id, "text": text}


@dataclass(frozen=True, slots=True)
class FormedRows:
    """Rows in our keys. `bare` ones are of a form that names no group, task or language: others' values stand in."""

    rows: tuple[Row, ...]
    bare: bool = False
    unused: int = 0  # negatives no row took: there is one for each positive


def rows_of(row: Row, group: TaskGroup | None = None) -> FormedRows:
    """Rows in our keys of one row in whatever form; `group` is what the name of its file says."""
    if "positive_passages" in row:
        return _paired(row, group, row.get("query"), _passages(row, "positive_passages"), _passages(row, "negative_passages"))
    if "pos" in row:
        return _paired(row, group, row.get("query"), _listed(row.get("pos")), _listed(row.get("neg")))
    if "anchor" in row or not ({"group", "task"} & row.keys()):
        return _labelled(row, group)
    return FormedRows((row,))


def _labelled(row: Row, group: TaskGroup | None) -> FormedRows:
    """Pairs and triples as sentence-transformers and public sets name them."""
    query, positive = (next((row[n] for n in names if row.get(n) is not None), None) for names in (QUERY_NAMES, POSITIVE_NAMES))
    negatives = [value for name, value in row.items() if NEGATIVE_NAMES.match(name) and value is not None]
    if positive is None and query is None:
        return FormedRows((row,))  # no form at all: the reason is found where rows are read
    return _paired(row, group, query, [positive], negatives)


def _paired(row: Row, group: TaskGroup | None, query: Any, positives: Sequence[Any], negatives: Sequence[Any]) -> FormedRows:
    kept = {key: row[key] for key in ("language", "target_language", "topic", "slots") if row.get(key) is not None}
    task = row.get("prompt") or row.get("task")
    if isinstance(query, str) and (found := INSTRUCTED.fullmatch(query)):
        task, query = found.groups()
    base = {**kept, "group": row.get("group") or (group.value if group else None), "task": task, "query": query}
    rows = tuple(
        {**base, "positive": positive, "negative": negatives[i % len(negatives)] if negatives else None}
        for i, positive in enumerate(positives or [None])
    )
    return FormedRows(rows, bare=True, unused=max(0, len(negatives) - len(positives)))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _passages(row: Row, key: str) -> list[Any]:
    return [
        Document("", str(p.get("text") or ""), str(p.get("title") or "")).content if isinstance(p, dict) else p
        for p in _listed(row.get(key))
    ]
