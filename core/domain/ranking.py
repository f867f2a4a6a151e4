"""Search results and relevance judgements."""

from __future__ import annotations

from dataclasses import dataclass, field

Qrels = dict[str, dict[str, int]]  # query id -> document id -> grade
Run = dict[str, dict[str, float]]  # query id -> document id -> similarity


@dataclass(frozen=True, slots=True)
class Document:
    """One passage of a corpus."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One document in a ranking; `rank` starts at 1."""

    document: Document
    rank: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one system answers to one query, with where the time went."""

    system: str
    hits: tuple[Hit, ...]
    encode_milliseconds: float
    search_milliseconds: float
    corpus_size: int
    ranks_of: dict[str, int] = field(default_factory=dict)  # asked document ids -> rank in the whole corpus


def ordered(similarities: dict[str, float]) -> list[str]:
    """Document ids, best first; ties break by id, so a collapsed model cannot look good by corpus order."""
    return sorted(similarities, key=lambda i: (-similarities[i], i))
