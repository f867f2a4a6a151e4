"""Search with loaded models and indexes: what the model service and a shell without a service both use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import EncoderSpec, Role
from core.domain.ranking import Corpus, Document, Histogram, Hit, Ranking
from core.encoder.text_encoder import TextEncoder
from core.encoder.token_view import count_tokens, token_view
from core.errors import BadInput, IndexMismatch, NotFound, WorkspaceDamaged
from core.retrieval.corpora import CorpusShelf
from core.retrieval.encoder_pool import EncoderPool
from core.retrieval.index import VectorIndex
from core.retrieval.index_facts import META
from core.retrieval.lexical import LexicalIndex
from core.retrieval.recent import Recent
from core.retrieval.shelf import IndexShelf
from core.retrieval.systems import BM25, SystemCatalogue
from core.settings import Settings
from core.storage.artifacts import read_json

KEEP_INDEXES = 8
KEEP_QUERIES = 500
MOST_HITS = 1000
HISTOGRAM_BINS = 40

OpenEncoder = Callable[[EncoderSpec, Settings], TextEncoder]


class SearchEngine:
    """Encoders, indexes and documents in memory, each loaded when first asked for."""

    def __init__(
        self, catalogue: SystemCatalogue, corpora: CorpusShelf, settings: Settings, *, open_encoder: OpenEncoder | None = None
    ) -> None:
        self._catalogue = catalogue
        self._corpora = corpora
        self._shelf = IndexShelf(settings)
        self.pool = EncoderPool(lambda spec: (open_encoder or _open_for_real)(spec, settings))
        self._vector_indexes: Recent[VectorIndex] = Recent(KEEP_INDEXES)
        self._word_indexes: Recent[LexicalIndex] = Recent(KEEP_INDEXES)
        self._documents: Recent[dict[str, Document]] = Recent(KEEP_INDEXES)
        self._queries: Recent[tuple[NDArray[np.float32], float]] = Recent(KEEP_QUERIES)

    def embed(self, system: str, texts: Sequence[str], role: Role, task: str | None = None) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the order of `texts`."""
        return self.pool.encode(self._catalogue.spec(system), texts, role, task).result()

    def tokens(self, system: str, text: str, role: Role, task: str | None = None) -> list[dict[str, Any]]:
        """Tokens as the model sees them: [{"id", "text", "special"}]."""
        question = self.pool.ask(self._catalogue.spec(system), lambda encoder: token_view(encoder, text, role=role, task=task))
        return list(question.result())

    def count_tokens(self, system: str, texts: Sequence[str], role: Role, task: str | None = None) -> int | None:
        """Tokens the model reads for these texts; None where it cannot say."""
        question = self.pool.ask(self._catalogue.spec(system), lambda encoder: count_tokens(encoder, texts, role=role, task=task))
        counted: int | None = question.result()
        return counted

    def search(
        self, corpus_id: str, system: str, query: str, *, task: str | None = None, k: int = 10, ask_ranks_of: Iterable[str] = ()
    ) -> Ranking:
        """The `k` best documents of a corpus for a query.

        Raises:
            BadInput: an empty query, or `k` out of range.
            NotFound: no such corpus or system, or no index of the one by the other.
            IndexMismatch: the corpus changed since the index was built.
        """
        if not query.strip():
            raise BadInput("The query is empty.", hint="Type a few words.")
        if not 1 <= k <= MOST_HITS:
            raise BadInput(f"k is {k}.", hint=f"Ask for 1 to {MOST_HITS} hits.")
        corpus = self._corpora.get(corpus_id)
        if system == BM25:
            words = self._word_index(corpus)
            index: LexicalIndex | VectorIndex = words
            waited, encoding = time.perf_counter(), 0.0
            scores = words.scores(query)
        else:
            spec = self._catalogue.spec(system)
            index = vectors = self._vector_index(corpus, spec, system)
            vector, encoding = self._query_vector(spec, query, task)
            waited = time.perf_counter()
            scores = vectors.similarities(vector)
        ranked = best(index.ids, scores, k)
        ended = time.perf_counter()
        documents = self._documents_of(corpus)
        asked = list(ask_ranks_of)
        at = {i: position for i in asked if (position := index.position_of(i)) is not None}
        return Ranking(
            system=system,
            hits=tuple(Hit(documents[i], rank, score) for rank, (i, score) in enumerate(ranked, start=1)),
            encode_milliseconds=encoding,
            search_milliseconds=(ended - waited) * 1000,
            corpus_size=len(index.ids),
            ranks_of=index.ranks_in(scores, asked),
            similarities_of={i: float(scores[position]) for i, position in at.items()},
            histogram=_histogram(scores),
        )

    def _query_vector(self, spec: EncoderSpec, query: str, task: str | None) -> tuple[NDArray[np.float32], float]:
        """The vector and the milliseconds it took. Both are kept for a while: a viewer who opens a hit asks the same again."""
        key = f"{spec.fingerprint}\x1f{task or ''}\x1f{query}"
        known = self._queries.peek(key)
        if known is None:  # encoded outside the lock, so that queries of several viewers share a batch
            self.pool.load(spec)
            started = time.perf_counter()
            vector = self.pool.encode(spec, [query], Role.QUERY, task).result()
            known = (vector, (time.perf_counter() - started) * 1000)
            self._queries.put(key, known)
        return known

    def _vector_index(self, corpus: Corpus, spec: EncoderSpec, system: str) -> VectorIndex:
        facts = self._shelf.facts(corpus.id, spec)
        build = f"python -m core index --corpus {corpus.id} --model {system}"
        if facts is None:
            raise NotFound(f"{self._catalogue.label(system)} has no index of {corpus.name}.", hint=f"Build it here, or with: {build}")
        if facts.corpus_hash != corpus.content_hash:
            raise IndexMismatch(f"{corpus.name} changed since this index was built.", hint=f"Build it again: {build}")
        folder = self._shelf.folder(corpus.id, spec)
        return self._vector_indexes.get(_version(folder), lambda: VectorIndex.load(folder, fingerprint=spec.fingerprint))

    def _word_index(self, corpus: Corpus) -> LexicalIndex:
        """The word index; it is built within a second or so, so it is made on first use."""
        folder = self._shelf.lexical_folder(corpus.id)
        return self._word_indexes.get(f"{folder} {corpus.content_hash}", lambda: self._load_or_build_words(corpus, folder))

    def _load_or_build_words(self, corpus: Corpus, folder: Path) -> LexicalIndex:
        meta = read_json(folder / META) or {}
        if meta.get("corpus_hash") == corpus.content_hash:
            try:
                return LexicalIndex.load(folder)
            except WorkspaceDamaged:
                pass  # damaged: build it again below
        index = LexicalIndex.build(self._corpora.documents(corpus.id))
        index.save(folder, corpus_id=corpus.id, corpus_hash=corpus.content_hash)
        return index

    def _documents_of(self, corpus: Corpus) -> dict[str, Document]:
        key = f"{corpus.id} {corpus.content_hash}"
        return self._documents.get(key, lambda: {d.id: d for d in self._corpora.documents(corpus.id)})


def _version(folder: Path) -> str:
    return f"{folder} {(folder / META).stat().st_mtime_ns}"


def best(ids: Sequence[str], scores: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
    """The `k` best; everything that ties with the last of them is looked at, so that ties break by id."""
    k = min(k, len(ids))
    cut = np.partition(scores, len(ids) - k)[len(ids) - k]
    candidates = np.flatnonzero(scores >= cut)
    order = sorted((int(i) for i in candidates), key=lambda i: (-float(scores[i]), ids[i]))[:k]
    return [(ids[i], float(scores[i])) for i in order]


def _histogram(scores: NDArray[np.float32]) -> Histogram:
    counts, edges = np.histogram(scores, bins=HISTOGRAM_BINS)
    return Histogram(tuple(float(e) for e in edges), tuple(int(c) for c in counts))


def _open_for_real(spec: EncoderSpec, settings: Settings) -> TextEncoder:
    from core.encoder.open_encoder import open_encoder

    return open_encoder(spec, settings)
