"""Tasks as people work with them: add, accept, reject, edit, find near duplicates, see what is covered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from core.domain.groups import GROUPS, TaskGroup
from core.domain.identity import normalise
from core.domain.task import EmbeddingTask, NearPair, TaskState
from core.errors import BadInput, NothingToDo
from core.generation.checks.near_duplicates import near_pairs
from core.storage.tasks import TaskAddReport, TaskStore

SHORTEST_TASK = 15  # characters
LONGEST_TASK = 500
NEAR = 0.55  # Jaccard of character 4-grams: above it, two sentences share most of their wording


Pairs = list[NearPair]


class TaskBook:
    """All tasks of a workspace."""

    def __init__(self, tasks: TaskStore) -> None:
        self._tasks = tasks

    def list(
        self, group: TaskGroup | None = None, state: TaskState | None = None, *, text: str = "", topic: str = ""
    ) -> list[EmbeddingTask]:
        """Tasks in order of arrival."""
        return self._tasks.find(group, state, text=text, topic=topic)

    def get(self, task_id: str) -> EmbeddingTask:
        """One task.

        Raises:
            NotFound: no such task.
        """
        return self._tasks.get(task_id)

    def add(
        self, group: TaskGroup, lines: Iterable[str], *, topic: str = "", source: str = "by hand", state: TaskState = TaskState.ACCEPTED
    ) -> TaskAddReport:
        """Add one task a line; blank lines and lines that start with # are passed over.

        Raises:
            BadInput: a line is too short or too long, or the group's task is fixed; nothing is stored.
            NothingToDo: no line holds a task.
        """
        if GROUPS[group].fixed_task:
            raise BadInput(f"The group {group.value} has one fixed task.", hint="Add tasks to one of the four brainstormed groups.")
        found = [(number, normalise(line)) for number, line in enumerate(lines, 1)]
        wanted = [(number, text) for number, text in found if text and not text.startswith("#")]
        if not wanted:
            raise NothingToDo("There is no task in this text.", hint="Write one task a line.")
        for number, text in wanted:
            if not SHORTEST_TASK <= len(text) <= LONGEST_TASK:
                raise BadInput(
                    f"Line {number} has {len(text)} characters; a task is one sentence of {SHORTEST_TASK} to {LONGEST_TASK}.",
                    hint="Say what the query is and what documents are wanted. Nothing was added.",
                )
        return self._tasks.add([EmbeddingTask(group, text, state, topic.strip(), source) for _, text in wanted])

    def store(self, tasks: Sequence[EmbeddingTask]) -> TaskAddReport:
        """Add tasks as they are (brainstorm, starter set, import); known ones keep their state."""
        return self._tasks.add(tasks)

    def accept(self, ids: Sequence[str]) -> int:
        """Allow examples for these tasks; returns how many changed.

        Raises:
            NotFound: an id does not exist; nothing was changed.
        """
        return self._tasks.set_state(ids, TaskState.ACCEPTED)

    def reject(self, ids: Sequence[str]) -> int:
        """Write no more examples for these tasks; the ones there are stay."""
        return self._tasks.set_state(ids, TaskState.REJECTED)

    def edit(self, task_id: str, text: str) -> EmbeddingTask:
        """Reword a task. The new wording is a task of its own in the old one's state; the old one is kept, rejected, with its examples.

        Raises:
            BadInput: too short or too long.
            NothingToDo: the wording is the same, or another task has it.
        """
        old = self._tasks.get(task_id)
        text = normalise(text)
        if not SHORTEST_TASK <= len(text) <= LONGEST_TASK:
            raise BadInput(f"A task is one sentence of {SHORTEST_TASK} to {LONGEST_TASK} characters.", hint="Nothing was changed.")
        new = replace(old, text=text, created_at="")
        if new.id == old.id or not self._tasks.add([new]).added:
            raise NothingToDo("A task with this wording is already there.", hint="Change the wording, or reject one of the two.")
        self._tasks.set_state([old.id], TaskState.REJECTED)
        return self._tasks.get(new.id)

    def counts(self) -> Mapping[TaskGroup, Mapping[TaskState, int]]:
        """Number of tasks by group and state; every brainstormed group is there."""
        found = self._tasks.counts()
        return {g: {s: found.get(g, {}).get(s, 0) for s in TaskState} for g in TaskGroup if GROUPS[g].brainstormed}

    def topics(self, group: TaskGroup | None = None) -> dict[str, int]:
        """Tasks by topic, the most frequent first; rejected ones do not count."""
        counts: dict[str, int] = {}
        for task in self._tasks.find(group):
            if task.state is not TaskState.REJECTED:
                topic = task.topic.strip().casefold() or "no topic"
                counts[topic] = counts.get(topic, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def near_duplicates(self, group: TaskGroup | None = None, *, threshold: float = NEAR, limit: int = 100) -> tuple[NearPair, ...]:
        """Pairs of tasks of one group whose wording is alike, most alike first; rejected tasks are left out.

        Similarity is the Jaccard index of character 4-grams (see `near_pairs`).
        """
        pairs: Pairs = []
        for some in [group] if group else [g for g, facts in GROUPS.items() if facts.brainstormed]:
            tasks = [t for t in self._tasks.find(some) if t.state is not TaskState.REJECTED]
            found = near_pairs([task.text for task in tasks], threshold=threshold, size=4)
            pairs += [NearPair(tasks[first], tasks[second], similarity) for first, second, similarity in found]
        return tuple(sorted(pairs, key=lambda p: (-p.similarity, p.first.id, p.second.id))[:limit])
