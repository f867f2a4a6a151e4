"""A task: one sentence that names what the query is and what documents are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.groups import TaskGroup
from core.domain.identity import content_id


class TaskState(StrEnum):
    """Whether examples may be written for a task."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class EmbeddingTask:
    """`text` is used unchanged as the instruction of every query of the task."""

    group: TaskGroup
    text: str
    state: TaskState = TaskState.PROPOSED
    topic: str = ""
    source: str = "by hand"  # by hand | starter | brainstorm | import
    prompt_version_id: str | None = None
    request_key: str | None = None
    created_at: str = ""

    @property
    def id(self) -> str:
        """Hash of group and text."""
        return task_id(self.group, self.text)


def task_id(group: TaskGroup, text: str) -> str:
    """Id of the task with this wording."""
    return content_id(group.value, text)


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two tasks of one group that are worded alike; the older one first."""

    first: EmbeddingTask
    second: EmbeddingTask
    similarity: float
