"""Search results and relevance judgements."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from core.domain.identity import content_id

Qrels = dict[str, dict[str, int]]  # query id -> document id -> grade
Run = dict[str, dict[str, float]]  # query id -> document id -> similarity


@dataclass(frozen=True, slots=True)
class Document:
    """One passage of a corpus."""

    id: str
    text: str
    title: str = ""

    @property
    def content(self) -> str:
        """What is encoded and searched: the title, then the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def document_of(text: str, *, title: str = "") -> Document:
    """A document whose id is the hash of its content, so the same text is the same document everywhere."""
    return Document(content_id(title, text) if title else content_id(text), text, title)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents to search in. `content_hash` covers ids and texts in order; equal hashes mean equal documents."""

    id: str  # demo | version:<dataset version id> | the id of an imported corpus
    name: str
    source: str  # where the documents come from, in words
    documents: int
    content_hash: str
    created_at: str = ""


def content_hash_of(documents: Iterable[Document]) -> str:
    """Hash of ids, titles and texts, in order."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update("\x1f".join((document.id, document.title, document.text)).encode() + b"\x1e")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Hit:
    """One document in a ranking; `rank` starts at 1."""

    document: Document
    rank: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many documents have which similarity; `edges` has one entry more than `counts`."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one system answers to one query, with where the time went."""

    system: str
    hits: tuple[Hit, ...]
    encode_milliseconds: float
    search_milliseconds: float
    corpus_size: int
    ranks_of: dict[str, int] = field(default_factory=dict)  # asked document ids -> rank in the whole corpus
    similarities_of: dict[str, float] = field(default_factory=dict)  # asked document ids -> similarity
    histogram: Histogram | None = None  # of the similarities of all documents


def ndcg_of_ranks(ranks: Collection[int], *, cut: int = 10) -> float:
    """nDCG@cut of one query whose relevant documents (grade 1, at least one) stand at `ranks`, counted from 1."""
    gain = sum(1 / math.log2(1 + rank) for rank in ranks if rank <= cut)
    return gain / sum(1 / math.log2(1 + rank) for rank in range(1, min(cut, len(ranks)) + 1))


def reciprocal_rank(ranks: Collection[int], *, cut: int = 10) -> float:
    """MRR@cut of one query: 1 / rank of the first relevant document, 0 beyond the cut."""
    first = min(ranks)
    return 1 / first if first <= cut else 0.0
