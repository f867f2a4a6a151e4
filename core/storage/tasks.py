"""Rows of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, TextClause, func, insert, select, update

from core.domain.groups import TaskGroup
from core.domain.task import EmbeddingTask, TaskState
from core.errors import NotFound
from core.storage.database import Database, now
from core.storage.schema import tasks

ARRIVAL = TextClause("tasks.rowid")  # several rows can share a time stamp


@dataclass(frozen=True, slots=True)
class TaskAddReport:
    """Ids of the tasks that are new, and of those that were already there."""

    added: tuple[str, ...]
    duplicates: tuple[str, ...]


class TaskStore:
    """Tasks in, tasks out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[EmbeddingTask]) -> TaskAddReport:
        """Store the tasks that are not there yet (by id), in one transaction and in their order. Known ones keep their state."""
        added: list[str] = []
        duplicates: list[str] = []
        with self._database.transaction() as connection:
            known = set(connection.scalars(select(tasks.c.id)))
            for task in new:
                if task.id in known:
                    duplicates.append(task.id)
                    continue
                known.add(task.id)
                added.append(task.id)
                connection.execute(insert(tasks).values(**_row_of(task)))
        return TaskAddReport(tuple(added), tuple(duplicates))

    def get(self, task_id: str) -> EmbeddingTask:
        """One task.

        Raises:
            NotFound: no such task.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(tasks).where(tasks.c.id == task_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no task {task_id}.", hint="List them: python -m core tasks list")
        return _task_of(row)

    def find(
        self, group: TaskGroup | None = None, state: TaskState | None = None, *, text: str = "", topic: str = "", limit: int = 10_000
    ) -> list[EmbeddingTask]:
        """Tasks in order of arrival."""
        query = select(tasks).order_by(tasks.c.created_at, ARRIVAL).limit(limit)
        if group is not None:
            query = query.where(tasks.c.group == group.value)
        if state is not None:
            query = query.where(tasks.c.state == state.value)
        if text:
            query = query.where(tasks.c.text.icontains(text, autoescape=True))
        if topic:
            query = query.where(tasks.c.topic == topic)
        with self._database.reading() as connection:
            return [_task_of(row) for row in connection.execute(query).mappings()]

    def counts(self) -> dict[TaskGroup, dict[TaskState, int]]:
        """Number of tasks by group and state."""
        query = select(tasks.c.group, tasks.c.state, func.count()).group_by(tasks.c.group, tasks.c.state)
        found: dict[TaskGroup, dict[TaskState, int]] = {}
        with self._database.reading() as connection:
            for group, state, count in connection.execute(query):
                found.setdefault(TaskGroup(group), {})[TaskState(state)] = count
        return found

    def set_state(self, ids: Sequence[str], state: TaskState) -> int:
        """Accept or reject tasks, all or none; returns how many changed.

        Raises:
            NotFound: one of the ids does not exist; nothing was changed.
        """
        with self._database.transaction() as connection:
            known = set(connection.scalars(select(tasks.c.id).where(tasks.c.id.in_(ids))))
            if missing := [i for i in ids if i not in known]:
                raise NotFound(f"There is no task {missing[0]}.", hint="List them: python -m core tasks list")
            changed = update(tasks).where(tasks.c.id.in_(ids), tasks.c.state != state.value).values(state=state.value)
            return connection.execute(changed).rowcount


def _row_of(task: EmbeddingTask) -> dict[str, object]:
    return {
        "id": task.id,
        "group": task.group.value,
        "text": task.text,
        "state": task.state.value,
        "topic": task.topic,
        "source": task.source,
        "prompt_version_id": task.prompt_version_id,
        "request_key": task.request_key,
        "created_at": task.created_at or now(),
    }


def _task_of(row: RowMapping) -> EmbeddingTask:
    return EmbeddingTask(
        group=TaskGroup(row["group"]),
        text=row["text"],
        state=TaskState(row["state"]),
        topic=row["topic"],
        source=row["source"],
        prompt_version_id=row["prompt_version_id"],
        request_key=row["request_key"],
        created_at=row["created_at"],
    )
