"""The lesson's experiments, each live on the student's own text through the model service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import Role
from core.domain.triple import Texts
from core.exploration.infonce import InfoNCE, info_nce
from core.exploration.lesson_texts import OTHERS, SCATTERED, SECOND_ANSWER, TASK, TRIPLES
from core.exploration.remembered import RememberedVectors
from core.retrieval.systems import BASELINE, RAW, RUN_PREFIX

BINS = 40


class Embedder(Protocol):
    """What is needed of `core.retrieval.service_client.ModelService`."""

    def embed(self, system: str, texts: Sequence[str], role: Role, task: str | None = None) -> NDArray[np.float32]:
        """Unit vectors, (texts, dimensions)."""
        ...

    def tokens(self, system: str, text: str, *, role: Role = Role.QUERY, task: str | None = None) -> list[dict[str, Any]]:
        """Tokens as the model sees them."""
        ...


class Systems(Protocol):
    """What is needed of `core.retrieval.systems.SystemCatalogue`."""

    def names(self) -> list[tuple[str, str]]:
        """(name, label) of each encoder, tuned runs newest first."""
        ...


@dataclass(frozen=True, slots=True)
class RankedText:
    """One text in the ranking of a query; `rank` from 1."""

    rank: int
    text: str
    similarity: float
    kind: str  # "your answer" | "your near miss" | "other"


@dataclass(frozen=True, slots=True)
class Reading:
    """How one text enters a model: its tokens, and the vector that is read at the last one."""

    tokens: tuple[Mapping[str, Any], ...]  # id, text, special
    vector: NDArray[np.float32]  # (dimensions,)


class Lesson:
    """Experiments of the Learn page. Nothing is kept here: the student's text comes in with each question."""

    task = TASK
    own = TRIPLES[0]
    second_answer = SECOND_ANSWER

    def __init__(self, service: Embedder, systems: Systems) -> None:
        self._service = service
        self._vectors = RememberedVectors(service.embed)
        self._systems = systems

    def models(self) -> dict[str, str]:
        """Raw, the newest tuned run if there is one, baseline: name -> label."""
        known = dict(self._systems.names())
        tuned = self.tuned()
        wanted = (RAW, *((tuned,) if tuned else ()), BASELINE)
        return {name: known[name] for name in wanted if name in known}

    def tuned(self) -> str | None:
        """The newest tuned run, or None while nothing was trained."""
        return next((name for name, _ in self._systems.names() if name.startswith(RUN_PREFIX)), None)

    def read(self, text: str, system: str = RAW) -> Reading:
        """Tokens of a document and the vector the model makes of it."""
        tokens = self._service.tokens(system, text, role=Role.DOCUMENT)
        return Reading(tuple(tokens), self._vectors.embed(system, [text], Role.DOCUMENT)[0])

    def cone(self, system: str, own_texts: Sequence[str] = ()) -> NDArray[np.float64]:
        """Cosines of all pairs among the scattered sample texts and the student's own."""
        texts = list(dict.fromkeys([*own_texts, *SCATTERED]))
        vectors = self._vectors.embed(system, texts, Role.DOCUMENT).astype(np.float64)
        left, right = np.triu_indices(len(texts), k=1)
        return np.einsum("ij,ij->i", vectors[left], vectors[right])

    def ranking(self, system: str, own: Texts) -> list[RankedText]:
        """The student's query against twelve texts: their own two, and ten that have nothing to do with it. Ties break by text."""
        kinds = {own.positive: "your answer"}
        if own.negative:
            kinds.setdefault(own.negative, "your near miss")
        for text in (*(t for triple in TRIPLES[1:] for t in (triple.positive, triple.negative)), *OTHERS):
            if text:
                kinds.setdefault(text, "other")
        texts = list(kinds)
        query = self._vectors.embed(system, [own.query], Role.QUERY, TASK)[0]
        similarities = self._vectors.embed(system, texts, Role.DOCUMENT) @ query
        order = sorted(range(len(texts)), key=lambda i: (-round(float(similarities[i]), 6), texts[i]))
        return [RankedText(rank, texts[i], float(similarities[i]), kinds[texts[i]]) for rank, i in enumerate(order, start=1)]

    def batch(self, own: Texts, *, false_negative: bool = False) -> tuple[list[str], list[str]]:
        """Four queries and eight documents: the positives in order, then the hard negatives in order.

        With `false_negative` the student's hard negative is replaced by a text that answers as well: the sample's second answer, or the
        student's
        own answer again where they wrote their own.
        """
        triples = (own, *TRIPLES[1:])
        negatives = [t.negative or OTHERS[i] for i, t in enumerate(triples)]
        if false_negative:
            negatives[0] = SECOND_ANSWER if own.positive == self.own.positive else own.positive
        return [t.query for t in triples], [*(t.positive for t in triples), *negatives]

    def cosines(self, system: str, queries: Sequence[str], documents: Sequence[str]) -> NDArray[np.float64]:
        """Cosine of each query with each document, shape (queries, documents)."""
        asked = self._vectors.embed(system, list(queries), Role.QUERY, TASK).astype(np.float64)
        return asked @ self._vectors.embed(system, list(documents), Role.DOCUMENT).astype(np.float64).T

    @staticmethod
    def loss(cosines: NDArray[np.float64], temperature: float, *, mask_false_negative: bool = False) -> InfoNCE:
        """InfoNCE of the batch; the mask hides the first query's hard negative from the first query."""
        masked = np.zeros(cosines.shape, dtype=bool)
        if mask_false_negative:
            masked[0, len(cosines)] = True
        return info_nce(cosines, temperature, masked)

    @staticmethod
    def histogram(cosines: NDArray[np.float64], *, low: float = -0.4, high: float = 1.0) -> tuple[list[float], list[float]]:
        """Middle of each bin and the share of pairs in it; values outside [low, high] count in the outermost bins."""
        counts, edges = np.histogram(np.clip(cosines, low, high), bins=BINS, range=(low, high))
        return ((edges[:-1] + edges[1:]) / 2).tolist(), (counts / max(1, len(cosines))).tolist()
