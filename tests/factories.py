"""Domain values with sensible defaults; nothing random."""

from __future__ import annotations

from core.domain.groups import TaskGroup
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Texts, Triple

TASK = "Given a question about plants, retrieve advice that answers it."


def make_task(
    text: str = TASK, *, group: TaskGroup = TaskGroup.SHORT_LONG, state: TaskState = TaskState.ACCEPTED, **fields
) -> EmbeddingTask:
    return EmbeddingTask(group, text, state, **fields)


def make_triple(
    query: str = "why do leaves turn yellow",
    positive: str = "Too much water takes air from the roots, and the foliage loses its green.",
    negative: str | None = "Yellow leaves of the ginkgo are prized in autumn gardens.",
    *,
    group: TaskGroup = TaskGroup.SHORT_LONG,
    task: str = TASK,
    **fields,
) -> Triple:
    return Triple(group, task, Texts(query, positive, negative), **fields)


def make_triples(count: int, *, tasks: int = 4, **fields) -> list[Triple]:
    """`count` different triples spread over `tasks` tasks."""
    return [
        make_triple(
            f"question number {i} on subject {i % tasks}",
            f"The answer to matter {i} is explained at length here.",
            f"Something near matter {i} that explains nothing.",
            task=f"Given a question on subject {i % tasks}, retrieve the page that answers it.",
            **fields,
        )
        for i in range(count)
    ]
