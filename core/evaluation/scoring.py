"""Let one system rank the held-out corpus for every held-out query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import Role
from core.encoder.text_encoder import TextEncoder
from core.evaluation.collection import JudgedCollection
from core.evaluation.geometry import Geometry, geometry_of
from core.evaluation.metrics import RankedQueries, rank_by_vectors, rank_corpus, scores_per_query
from core.retrieval.lexical import LexicalIndex

CHUNK = 64  # texts between two signs of progress

Progress = Callable[[int], None]  # texts done since the last call


@dataclass(frozen=True, slots=True)
class SystemScores:
    """What one system did, query by query in the order of the collection."""

    scores: dict[str, NDArray[np.float64]]  # metric -> (queries,)
    ranks: tuple[int, ...]  # of the best relevant document, from 1
    best: tuple[str, ...]  # id of the document at rank 1
    geometry: Geometry | None  # None for a system without vectors

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "scores": {metric: values.tolist() for metric, values in self.scores.items()},
            "ranks": self.ranks,
            "best": self.best,
            "geometry": asdict(self.geometry) if self.geometry else None,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SystemScores:
        """Inverse of `as_dict`."""
        geometry = Geometry(**values["geometry"]) if values["geometry"] else None
        scores = {metric: np.array(found) for metric, found in values["scores"].items()}
        return cls(scores, tuple(values["ranks"]), tuple(values["best"]), geometry)


def score_encoder(collection: JudgedCollection, encoder: TextEncoder, *, seed: int = 0, done: Progress = lambda _: None) -> SystemScores:
    """Rank by cosine of the encoder's vectors; each query carries the instruction of its task, documents carry none."""
    queries = _encode_queries(collection, encoder, done)
    documents = _encode(encoder, [d.content for d in collection.documents], Role.DOCUMENT, None, done)
    ids = [d.id for d in collection.documents]
    ranked = rank_by_vectors(queries, [q.id for q in collection.queries], documents, ids, collection.qrels)
    row = {identifier: i for i, identifier in enumerate(ids)}
    positives = documents[[row[q.relevant[0]] for q in collection.queries]]
    return _read(collection, ranked, geometry_of(queries, positives, documents, seed=seed))


def score_words(collection: JudgedCollection, *, done: Progress = lambda _: None) -> SystemScores:
    """Rank by BM25."""
    index = LexicalIndex.build(collection.documents)
    similarities: dict[str, NDArray[np.floating[Any]]] = {}
    for query in collection.queries:
        similarities[query.id] = index.scores(query.text)
        done(1)
    ranked = rank_corpus(similarities, [d.id for d in collection.documents], collection.qrels)
    done(len(collection.documents))
    return _read(collection, ranked, None)


def _read(collection: JudgedCollection, ranked: RankedQueries, geometry: Geometry | None) -> SystemScores:
    ids = [q.id for q in collection.queries]
    scores = scores_per_query(ranked, collection.qrels, ids)
    return SystemScores(scores, tuple(ranked.first_relevant[i] for i in ids), tuple(ranked.top[i][0] for i in ids), geometry)


def _encode_queries(collection: JudgedCollection, encoder: TextEncoder, done: Progress) -> NDArray[np.float32]:
    """Shape (queries, d), in the order of the collection, encoded task by task."""
    vectors = np.empty((len(collection.queries), encoder.dimensions), dtype=np.float32)
    by_task: dict[str, list[int]] = {}
    for i, query in enumerate(collection.queries):
        by_task.setdefault(query.task, []).append(i)
    for task, rows in by_task.items():
        vectors[rows] = _encode(encoder, [collection.queries[i].text for i in rows], Role.QUERY, task, done)
    return vectors


def _encode(encoder: TextEncoder, texts: Sequence[str], role: Role, task: str | None, done: Progress) -> NDArray[np.float32]:
    blocks = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        blocks.append(encoder.encode(chunk, role=role, task=task))
        done(len(chunk))
    return np.concatenate(blocks) if blocks else np.empty((0, encoder.dimensions), dtype=np.float32)
