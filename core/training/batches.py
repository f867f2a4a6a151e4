"""Which triples make which batch. A step's batch follows from the seed and the step alone, so resuming needs no memory of the order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.dataset import Example
from core.domain.encoder import instructed_query
from core.domain.identity import normalise


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of one step; every document once, whatever number of triples hold it."""

    queries: tuple[str, ...]
    tasks: tuple[str, ...]
    documents: tuple[str, ...]
    query_keys: tuple[str, ...]  # identity of instruction and query
    document_keys: tuple[str, ...]
    positives: tuple[int, ...]  # column of each query's positive
    negatives: tuple[int | None, ...]  # column of its hard negative; None where it has none

    @property
    def texts(self) -> int:
        """Texts to encode."""
        return len(self.queries) + len(self.documents)


class BatchOrder:
    """Every epoch is another shuffle; the rest that does not fill a batch is left out of its epoch."""

    def __init__(self, examples: int, *, batch_size: int, seed: int) -> None:
        self.batch_size = min(batch_size, examples)
        self.batches_an_epoch = examples // self.batch_size
        self._examples = examples
        self._seed = seed

    def epoch_of(self, step: int) -> int:
        """Epoch (from 0) that step (from 0) belongs to."""
        return step // self.batches_an_epoch

    def indices(self, step: int) -> list[int]:
        """Examples of the batch of a step (from 0)."""
        epoch, place = divmod(step, self.batches_an_epoch)
        order = list(range(self._examples))
        random.Random(f"{self._seed}:{epoch}").shuffle(order)  # noqa: S311 - no secret is made here
        return order[place * self.batch_size : (place + 1) * self.batch_size]


def make_batch(examples: Sequence[Example], *, hard_negatives: bool = True) -> Batch:
    """Collect the texts of some examples; equal documents (after `normalise`) share one column."""
    columns: dict[str, int] = {}
    documents: list[str] = []

    def column(text: str) -> int:
        key = normalise(text)
        if key not in columns:
            columns[key] = len(documents)
            documents.append(text)
        return columns[key]

    positives = tuple(column(example.texts.positive) for example in examples)
    negatives = tuple(column(e.texts.negative) if hard_negatives and e.texts.negative else None for e in examples)
    return Batch(
        queries=tuple(e.texts.query for e in examples),
        tasks=tuple(e.task for e in examples),
        documents=tuple(documents),
        query_keys=tuple(normalise(instructed_query(e.task, e.texts.query)) for e in examples),
        document_keys=tuple(columns),
        positives=positives,
        negatives=negatives,
    )
