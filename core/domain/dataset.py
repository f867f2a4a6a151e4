"""Dataset versions: a frozen list of accepted triples with a split that keeps a task on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.groups import GROUPS, TaskGroup
from core.domain.triple import SlotValue, Texts

FALLBACK_TASK = "Given a query, retrieve passages that answer it."


class Split(StrEnum):
    """Side of a version an example is on."""

    TRAIN = "train"
    HELDOUT = "heldout"


class ExportFormat(StrEnum):
    """What a dataset is written as. The first three are one file, the others a folder (see core.review.forms for what each holds)."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    HUGGING_FACE = "hugging-face"
    SENTENCE_TRANSFORMERS = "sentence-transformers"
    FLAGEMBEDDING = "flagembedding"
    TEVATRON = "tevatron"
    BEIR = "beir"


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What stands in for keys that rows in the forms of other trainers lack."""

    group: TaskGroup = TaskGroup.SHORT_LONG
    task: str = FALLBACK_TASK
    language: str = "English"
    target_language: str | None = None  # of the documents where it differs; translation needs it


@dataclass(frozen=True, slots=True)
class Example:
    """One record of a version: texts as they stood when it was frozen."""

    triple_id: str
    group: TaskGroup
    task: str
    texts: Texts
    language: str
    target_language: str | None
    split: Split
    topic: str = ""
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """What a version is; `content_hash` covers every text and split, so equal hashes mean equal data."""

    id: str
    name: str
    content_hash: str
    train_count: int
    heldout_count: int
    counts: dict[str, dict[str, int]]  # by "group", "language", "source"
    parent_id: str | None
    created_at: str


def choose_heldout_tasks(tasks: Iterable[tuple[str, TaskGroup]], *, share: float, seed: int) -> frozenset[str]:
    """Ids of whole tasks to hold out: about `share` of each brainstormed group, at least one where it has two or more.

    Symmetric groups (sts, bitext) have one task only, so they stay in training. The choice depends on ids and seed alone, so adding tasks
    moves as few others as possible.
    """
    by_group: dict[TaskGroup, set[str]] = {}
    for task_id, group in tasks:
        by_group.setdefault(group, set()).add(task_id)
    chosen: set[str] = set()
    for group, ids in by_group.items():
        if not GROUPS[group].brainstormed or len(ids) < 2 or share <= 0:
            continue
        wanted = min(len(ids) - 1, max(1, round(share * len(ids))))
        chosen.update(sorted(ids, key=lambda i: _rank(i, seed))[:wanted])
    return frozenset(chosen)


def _rank(identifier: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{identifier}".encode()).hexdigest()
