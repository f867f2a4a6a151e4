"""Which triples make which batch. A step's batch follows from the seed and the step alone, so resuming needs no memory of the order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from core.domain.contrast import BatchScope
from core.domain.dataset import Example
from core.domain.encoder import instructed_query
from core.domain.groups import TaskGroup
from core.domain.identity import normalise
from core.domain.plans import TrainingPlan
from core.errors import NothingToDo

SMALLEST = 2  # triples of a batch: one alone has nobody to be told from


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One query with its positive and all hard negatives there are for it."""

    example: Example
    negatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of one step; every document once, whatever number of triples hold it."""

    queries: tuple[str, ...]
    tasks: tuple[str, ...]
    documents: tuple[str, ...]
    query_keys: tuple[str, ...]  # identity of instruction and query
    document_keys: tuple[str, ...]
    positives: tuple[int, ...]  # column of each query's positive
    negatives: tuple[tuple[int, ...], ...]  # columns of its own hard negatives
    alone: tuple[bool, ...]  # whether it sees its own documents only

    @property
    def texts(self) -> int:
        """Texts to encode."""
        return len(self.queries) + len(self.documents)


def training_rows(examples: Sequence[Example], *, most_negatives: int = 1) -> list[TrainingRow]:
    """What batches are made of. With several negatives a query, triples that differ in their negative only become one row."""
    if most_negatives == 1:
        return [TrainingRow(e, (e.texts.negative,) if e.texts.negative else ()) for e in examples]
    found: dict[tuple[str, str, str], tuple[Example, dict[str, str]]] = {}
    for example in examples:
        key = (example.task, normalise(example.texts.query), normalise(example.texts.positive))
        _, negatives = found.setdefault(key, (example, {}))
        if example.texts.negative:
            negatives.setdefault(normalise(example.texts.negative), example.texts.negative)
    return [TrainingRow(example, tuple(negatives.values())) for example, negatives in found.values()]


class BatchOrder:
    """Every epoch is another shuffle.

    Mixed batches are full; what does not fill one is left out of its epoch. Batches of one kind (`kinds`: the group or the task of each
    example) end in a smaller one where two or more examples are left. With weights an epoch draws that share of each source, another part
    of it each time until all were drawn.
    """

    def __init__(
        self,
        examples: int,
        *,
        batch_size: int,
        seed: int,
        kinds: Sequence[str] = (),
        sources: Sequence[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> None:
        """See the class.

        Raises:
            NothingToDo: no batch of one kind can be made in the first epoch.
        """
        self._examples, self._seed, self._kinds = examples, seed, kinds
        self._drawn = _Drawn(sources, weights, seed) if weights and sources else None
        self.examples_an_epoch = self._drawn.count if self._drawn else examples
        self.batch_size = min(batch_size, self.examples_an_epoch)
        self._starts = [0]  # first step of each epoch so far, and of the next
        self._batches = lru_cache(maxsize=2)(self._cut)
        if kinds and self.examples_an_epoch and not self._batches(0):
            what = "Each batch is to be of one group or one task, and none has two triples to train on."
            raise NothingToDo(what, hint="Mix all groups in a batch, or accept more triples a task.")

    @property
    def batches_an_epoch(self) -> int:
        """Of the first epoch; those of one kind may number a few more or less in the next ones where sources are weighted."""
        return len(self._batches(0))

    def epoch_of(self, step: int) -> int:
        """Epoch (from 0) that step (from 0) belongs to."""
        if not (self._kinds and self._drawn):
            return step // self.batches_an_epoch
        while self._starts[-1] <= step:
            self._starts.append(self._starts[-1] + len(self._batches(len(self._starts) - 1)))
        return sum(start <= step for start in self._starts) - 1

    def indices(self, step: int) -> list[int]:
        """Examples of the batch of a step (from 0)."""
        epoch = self.epoch_of(step)
        varies = self._kinds and self._drawn
        return self._batches(epoch)[step - (self._starts[epoch] if varies else epoch * self.batches_an_epoch)]

    def _cut(self, epoch: int) -> list[list[int]]:
        order = self._drawn.of(epoch) if self._drawn else list(range(self._examples))
        source = random.Random(f"{self._seed}:{epoch}")  # noqa: S311 - no secret is made here
        source.shuffle(order)
        size = self.batch_size
        if not self._kinds:
            return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        by_kind: dict[str, list[int]] = {}
        for i in order:
            by_kind.setdefault(self._kinds[i], []).append(i)
        batches = [some[start : start + size] for some in by_kind.values() for start in range(0, len(some), size)]
        batches = [batch for batch in batches if len(batch) >= SMALLEST]
        source.shuffle(batches)
        return batches


class _Drawn:
    """Examples of an epoch where sources have weights: whole copies, and a part that moves on through the source."""

    def __init__(self, sources: Sequence[str], weights: Mapping[str, float], seed: int) -> None:
        by_source: dict[str, list[int]] = {}
        for i, source in enumerate(sources):
            by_source.setdefault(source, []).append(i)
        self._parts = []
        for source, members in sorted(by_source.items()):
            random.Random(f"{seed}:{source}").shuffle(members)  # noqa: S311 - no secret is made here
            self._parts.append((members, round(weights.get(source, 1.0) * len(members))))
        self.count = sum(count for _, count in self._parts)

    def of(self, epoch: int) -> list[int]:
        drawn = []
        for members, count in self._parts:
            copies, part = divmod(count, len(members))
            start = epoch * part
            drawn += members * copies + [members[(start + k) % len(members)] for k in range(part)]
        return sorted(drawn)


def order_of(rows: Sequence[TrainingRow], plan: TrainingPlan) -> BatchOrder:
    """The order a plan asks for.

    Raises:
        NothingToDo: see BatchOrder.
    """
    kinds: Sequence[str] = ()
    if plan.batch_scope is not BatchScope.MIXED:
        by_task = plan.batch_scope is BatchScope.TASK
        kinds = [f"{row.example.group.value}\x1f{row.example.task if by_task else ''}" for row in rows]
    sources = [row.example.source for row in rows]
    return BatchOrder(len(rows), batch_size=plan.batch_size, seed=plan.seed, kinds=kinds, sources=sources, weights=plan.source_weights)


def make_batch(
    rows: Sequence[TrainingRow],
    *,
    most_negatives: int = 1,
    in_batch: bool = True,
    alone_groups: Sequence[TaskGroup] = (),
    draw: str = "",
) -> Batch:
    """Collect the texts of some rows; equal documents (after `normalise`) share one column.

    A row with more than `most_negatives` gives that many of them, chosen by `draw` (a seed) and its query; 0 gives none.
    """
    columns: dict[str, int] = {}
    documents: list[str] = []

    def column(text: str) -> int:
        key = normalise(text)
        if key not in columns:
            columns[key] = len(documents)
            documents.append(text)
        return columns[key]

    examples = [row.example for row in rows]
    positives = tuple(column(e.texts.positive) for e in examples)
    chosen = [_some(row, most_negatives, draw) for row in rows]
    negatives = tuple(tuple(dict.fromkeys(column(text) for text in texts)) for texts in chosen)
    return Batch(
        queries=tuple(e.texts.query for e in examples),
        tasks=tuple(e.task for e in examples),
        documents=tuple(documents),
        query_keys=tuple(normalise(instructed_query(e.task, e.texts.query)) for e in examples),
        document_keys=tuple(columns),
        positives=positives,
        negatives=negatives,
        alone=tuple(not in_batch or e.group in alone_groups for e in examples),
    )


def batch_of(rows: Sequence[TrainingRow], plan: TrainingPlan, *, step: int) -> Batch:
    """The batch of some rows as a plan wants it."""
    most = plan.negatives_per_query if plan.use_hard_negatives else 0
    groups = plan.no_in_batch_groups
    return make_batch(rows, most_negatives=most, in_batch=plan.use_in_batch_negatives, alone_groups=groups, draw=f"{plan.seed}:{step}")


def _some(row: TrainingRow, most: int, draw: str) -> Sequence[str]:
    if len(row.negatives) <= most:
        return row.negatives
    return random.Random(f"{draw}:{row.example.triple_id}").sample(row.negatives, most)  # noqa: S311 - no secret is made here
