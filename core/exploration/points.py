"""Texts as points of a map: which text, of which triple, encoded in which role."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from core.domain.dataset import Example
from core.domain.encoder import Role
from core.domain.ranking import Document
from core.domain.review import TripleRecord
from core.domain.triple import Texts


class PointKind(StrEnum):
    """What a point is; shown as a shape."""

    QUERY = "query"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    DOCUMENT = "document"


class EncodedText(NamedTuple):
    """What one vector stands for: equal ones are encoded and laid out once."""

    role: Role
    task: str | None  # queries only
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One text on the map. `owner` is the id of its triple, or of its document."""

    id: str
    owner: str
    kind: PointKind
    text: str
    group: str = ""
    task: str = ""
    language: str = ""
    split: str = ""

    @property
    def encoded(self) -> EncodedText:
        """What has to be encoded for this point."""
        if self.kind is PointKind.QUERY:
            return EncodedText(Role.QUERY, self.task or None, self.text)
        return EncodedText(Role.DOCUMENT, None, self.text)


def points_of_examples(examples: Iterable[Example]) -> list[Point]:
    """Up to three points an example."""
    found: list[Point] = []
    for e in examples:
        found += _of_texts(e.triple_id, e.texts, e.group.value, e.task, (e.language, e.target_language or e.language), e.split.value)
    return found


def points_of_records(records: Iterable[TripleRecord]) -> list[Point]:
    """Up to three points a triple, with its texts as they stand now."""
    found: list[Point] = []
    for r in records:
        triple = r.triple
        found += _of_texts(r.id, r.texts, triple.group.value, triple.task, (triple.language, triple.document_language), "")
    return found


def points_of_documents(documents: Iterable[Document]) -> list[Point]:
    """One point a document."""
    return [Point(d.id, d.id, PointKind.DOCUMENT, d.content) for d in documents]


def content_hash(points: Iterable[Point]) -> str:
    """Hash of ids, texts and tasks in order: equal hashes give equal maps."""
    digest = hashlib.sha256()
    for point in points:
        digest.update("\x1f".join((point.id, point.text, point.task)).encode() + b"\x1e")
    return digest.hexdigest()


def _of_texts(owner: str, texts: Texts, group: str, task: str, languages: tuple[str, str], split: str) -> list[Point]:
    given = (
        (PointKind.QUERY, texts.query, languages[0]),
        (PointKind.POSITIVE, texts.positive, languages[1]),
        (PointKind.NEGATIVE, texts.negative, languages[1]),
    )
    return [Point(f"{owner}:{kind.value}", owner, kind, text, group, task, language, split) for kind, text, language in given if text]
