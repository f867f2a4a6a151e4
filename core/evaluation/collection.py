"""The held-out side of a version as a retrieval test: queries, one shared corpus, relevance judgements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.identity import content_id, normalise
from core.domain.ranking import Document, Qrels, document_of
from core.errors import NothingToDo


@dataclass(frozen=True, slots=True)
class TestQuery:
    """One query with the instruction it is encoded with. `relevant` are ids of documents that answer it."""

    id: str
    text: str
    task: str
    group: TaskGroup
    language: str
    relevant: tuple[str, ...]
    triple_id: str


@dataclass(frozen=True, slots=True)
class HeldoutCollection:
    """Every query ranks all of `documents`, so an easy small candidate list cannot flatter a model."""

    queries: tuple[TestQuery, ...]
    documents: tuple[Document, ...]
    tasks: tuple[str, ...] = field(default=())

    @property
    def qrels(self) -> Qrels:
        """Grade 1 for each document that answers a query; everything else is unjudged and counts as 0."""
        return {query.id: dict.fromkeys(query.relevant, 1) for query in self.queries}


def heldout_collection(examples: Iterable[Example]) -> HeldoutCollection:
    """Build the test from the held-out examples among `examples`; texts of the training side never enter.

    Texts equal after `normalise` are one document, so a label that is right for many queries is relevant for each of them. Equal queries
    of one task are one
    query with several relevant documents; the negatives of all queries are in the corpus too.

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
    relevant: dict[str, list[str]] = {}
    first: dict[str, Example] = {}
    for example in heldout:
        query_id = content_id(example.group.value, example.task, example.texts.query)
        first.setdefault(query_id, example)
        answer = _enter(documents, example.texts.positive)
        if answer not in relevant.setdefault(query_id, []):
            relevant[query_id].append(answer)
        if example.texts.negative:
            _enter(documents, example.texts.negative)
    queries = tuple(TestQuery(i, e.texts.query, e.task, e.group, e.language, tuple(relevant[i]), e.triple_id) for i, e in first.items())
    return HeldoutCollection(queries, tuple(documents.values()), tuple(dict.fromkeys(e.task for e in heldout)))


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


def overlap_with(collection: HeldoutCollection, training: Sequence[Example]) -> Overlap:
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
