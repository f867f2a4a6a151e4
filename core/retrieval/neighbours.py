"""Training examples near a query: what a tuned model may have learned its answer from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.dataset import Example, Split
from core.domain.encoder import Role
from core.encoder.vector_cache import VectorCache
from core.errors import NothingToDo
from core.retrieval.corpora import Versions
from core.retrieval.service_client import ModelService
from core.retrieval.shelf import IndexShelf
from core.retrieval.systems import RUN_PREFIX, SystemCatalogue

MOST_COMPARED = 2000  # training queries; about a minute of a small decoder on two cores, once a run


@dataclass(frozen=True, slots=True)
class NearTriples:
    """Training examples whose queries lie nearest to a query."""

    nearest: tuple[tuple[Example, float], ...]  # with cosine, best first
    compared: int
    training_examples: int


class TrainingNeighbours:
    """Encodes the training queries of a run once, then answers from memory."""

    def __init__(self, systems: SystemCatalogue, service: ModelService, versions: Versions, shelf: IndexShelf) -> None:
        self._systems = systems
        self._service = service
        self._versions = versions
        self._shelf = shelf
        self._known: dict[str, tuple[list[Example], NDArray[np.float32], int]] = {}  # by fingerprint: examples, vectors, how many in all

    def nearest(self, system: str, query: str, task: str | None, *, count: int) -> NearTriples:
        """The `count` nearest, by cosine of queries; ties break by triple id.

        Raises:
            NothingToDo: the system was not trained here, or its run has no training examples.
        """
        examples, vectors, total = self._queries_of(system)
        similarities = vectors @ self._service.embed(system, [query], Role.QUERY, task)[0]
        order = sorted(range(len(examples)), key=lambda i: (-float(similarities[i]), examples[i].triple_id))[:count]
        return NearTriples(tuple((examples[i], float(similarities[i])) for i in order), len(examples), total)

    def _queries_of(self, system: str) -> tuple[list[Example], NDArray[np.float32], int]:
        if not system.startswith(RUN_PREFIX):
            raise NothingToDo(f"{self._systems.label(system)} was not trained here.", hint="Choose a tuned run.")
        fingerprint = self._systems.spec(system).fingerprint
        if fingerprint not in self._known:
            every = self._training_examples(system)
            examples = sorted(every[:MOST_COMPARED], key=lambda e: (e.task, e.triple_id))
            tasks = dict.fromkeys(e.task for e in examples)
            parts = [self._encoded(system, fingerprint, [e.texts.query for e in examples if e.task == task], task) for task in tasks]
            self._known[fingerprint] = (examples, np.concatenate(parts), len(every))
        return self._known[fingerprint]

    def _training_examples(self, system: str) -> Sequence[Example]:
        version_id = self._systems.run(system).dataset_version_id
        examples = self._versions.examples(self._versions.get(version_id).id, Split.TRAIN) if version_id else ()
        if not examples:
            raise NothingToDo("This run names no training examples.", hint="Choose a run that was trained on a frozen dataset version.")
        return examples

    def _encoded(self, system: str, fingerprint: str, texts: list[str], task: str) -> NDArray[np.float32]:
        cache = VectorCache(self._shelf.vectors_folder, fingerprint, role=Role.QUERY, task=task)
        vectors = cache.encode(texts, lambda chunk: self._service.embed(system, chunk, Role.QUERY, task))
        assert vectors is not None  # nobody asks this one to stop
        return vectors
