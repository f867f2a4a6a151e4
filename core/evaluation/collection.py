"""A test collection: queries with their instructions, one corpus, graded relevance judgements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.domain.dataset import Example, Split
from core.domain.identity import content_id, normalise
from core.domain.ranking import Document, Qrels, content_hash_of, document_of
from core.errors import NothingToDo


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """One query with the instruction it is encoded with. `grades` maps ids of documents that help to a grade above 0, best first."""

    id: str
    text: str
    task: str
    group: str
    language: str
    grades: Mapping[str, int]
    triple_id: str = ""  # of the triple it comes from, where it comes from one

    @property
    def relevant(self) -> tuple[str, ...]:
        """Ids of documents with a grade above 0, best first."""
        return tuple(self.grades)


@dataclass(frozen=True)
class JudgedCollection:
    """Every query ranks all of `documents`, so an easy small candidate list cannot flatter a model."""

    queries: tuple[JudgedQuery, ...]
    documents: tuple[Document, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Instructions of the queries, each once."""
        return tuple(dict.fromkeys(query.task for query in self.queries))

    @property
    def qrels(self) -> Qrels:
        """Grades of judged documents; everything else counts as 0."""
        return {query.id: dict(query.grades) for query in self.queries}

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over documents, queries, instructions and grades: equal hashes mean equal tests. Computed once."""
        digest = hashlib.sha256(content_hash_of(self.documents).encode())
        for query in self.queries:
            digest.update(json.dumps([query.id, query.text, query.task, dict(query.grades)], ensure_ascii=False).encode() + b"\x1e")
        return digest.hexdigest()


def heldout_collection(examples: Iterable[Example]) -> JudgedCollection:
    """Build the test from the held-out examples among `examples`; texts of the training side never enter.

    Texts equal after `normalise` are one document, so a label that is right for many queries is relevant for each of them. Equal queries
    of one task are one query with several relevant documents, each of grade 1; the negatives of all queries are in the corpus too.

    Raises:
        NothingToDo: the version holds nothing out.
    """
    heldout = [example for example in examples if example.split is Split.HELDOUT]
    if not heldout:
        raise NothingToDo(
            "This version has no held-out examples, so there is nothing to test on.",
            hint="Freeze a version with a held-out share above 0 and at least two tasks in a group.",
        )
    documents: dict[str, Document] = {}
    grades: dict[str, dict[str, int]] = {}
    first: dict[str, Example] = {}
    for example in heldout:
        query_id = content_id(example.group.value, example.task, example.texts.query)
        first.setdefault(query_id, example)
        grades.setdefault(query_id, {})[_enter(documents, example.texts.positive)] = 1
        if example.texts.negative:
            _enter(documents, example.texts.negative)
    queries = tuple(JudgedQuery(i, e.texts.query, e.task, e.group.value, e.language, grades[i], e.triple_id) for i, e in first.items())
    return JudgedCollection(queries, tuple(documents.values()))


def _enter(documents: dict[str, Document], text: str) -> str:
    """Add `text` to the corpus unless it is there; its id either way."""
    document = document_of(text)
    documents.setdefault(document.id, document)
    return document.id


@dataclass(frozen=True, slots=True)
class Overlap:
    """Texts of the test that a model may have been trained on."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    tasks: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing of the test was trained on."""
        return not (self.queries or self.documents or self.tasks)


def overlap_with(collection: JudgedCollection, training: Sequence[Example]) -> Overlap:
    """Texts and tasks that are on both sides; strings are compared ignoring case and all white space (Wang et al. 2024)."""
    texts = {t for e in training for t in (e.texts.query, e.texts.positive, e.texts.negative) if t}
    seen = {_bare(text) for text in texts}
    tasks = {_bare(example.task) for example in training}
    return Overlap(
        tuple(query.text for query in collection.queries if _bare(query.text) in seen),
        tuple(document.text for document in collection.documents if _bare(document.text) in seen),
        tuple(task for task in collection.tasks if _bare(task) in tasks),
    )


def _bare(text: str) -> str:
    return "".join(normalise(text).casefold().split())
