"""What becomes of a stored reply: triples with their flags, or tasks; else a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.chat import ChatReply
from core.domain.groups import GROUPS
from core.domain.request import RequestRecord
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Flag, Triple
from core.generation.checks.triple_checks import check_triple
from core.generation.replies.parsing import read_example, read_tasks
from core.storage.tasks import TaskStore


class AddedSome(Protocol):
    """What a store says it added."""

    @property
    def added(self) -> Sequence[str]:
        """Ids that are new."""
        ...

    @property
    def duplicates(self) -> Sequence[str]:
        """Ids that were there."""
        ...


class TripleSink(Protocol):
    """Where triples go: core.storage.triples.TripleStore."""

    def add(self, new: Sequence[Triple], flags: Mapping[str, Sequence[Flag]] = ..., /) -> AddedSome:
        """Store those that are not there yet."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reply brought. `reason` is empty when it was used."""

    reason: str = ""
    detail: str = ""
    added: int = 0
    duplicates: int = 0
    flags: tuple[str, ...] = ()
    sample: str = ""  # the first words of what was made, for the live view


class ExampleReader:
    """Replies of the example step become triples."""

    def __init__(self, triples: TripleSink, tasks: TaskStore, check: Callable[[Triple], Sequence[Flag]] = check_triple) -> None:
        """`check` flags a new triple: by the workspace's thresholds where the workbench gives it."""
        self._triples = triples
        self._check = check
        self._tasks = tasks
        self._known: dict[str, tuple[str, str]] = {}  # task id -> text, topic

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store the triple of a reply with its flags."""
        return self.read_all([(record, reply)])[0]

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Store the triples of several replies at once, in one transaction; an outcome each, in their order."""
        made = [self._make(record, reply) for record, reply in replies]
        found = [one for one in made if not isinstance(one, Outcome)]
        new = (
            set(self._triples.add([triple for triple, _ in found], {triple.id: flags for triple, flags in found}).added) if found else set()
        )
        return [one if isinstance(one, Outcome) else _outcome(*one, new) for one in made]

    def _make(self, record: RequestRecord, reply: ChatReply) -> Outcome | tuple[Triple, Sequence[Flag]]:
        request = record.request
        texts, reading = read_example(request.group, reply)
        if texts is None:
            return Outcome(reading.reason, reading.detail)
        task, topic = self._task_of(record)
        triple = Triple(
            group=request.group,
            task=task,
            texts=texts,
            language=request.language or "English",
            target_language=request.target_language,
            topic=topic,
            slots=request.slots,
            source="generated",
            model=request.model,
            prompt_version_id=request.prompt_version_id,
            request_key=record.key,
        )
        return triple, self._check(triple)

    def _task_of(self, record: RequestRecord) -> tuple[str, str]:
        fixed = GROUPS[record.request.group].fixed_task
        if fixed:
            return fixed, ""
        task_id = record.request.task_id or ""
        if task_id not in self._known:
            task = self._tasks.get(task_id)
            self._known[task_id] = (task.text, task.topic)
        return self._known[task_id]


class TaskReader:
    """Replies of the brainstorm step become proposed tasks."""

    def __init__(self, tasks: TaskStore) -> None:
        self._tasks = tasks

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store the tasks of a reply, at most as many as were asked for."""
        pairs, reading = read_tasks(reply)
        if not pairs:
            return Outcome(reading.reason, reading.detail)
        request = record.request
        asked = int(request.slots.get("count", len(pairs)))
        found = [
            EmbeddingTask(
                group=request.group,
                text=text,
                state=TaskState.PROPOSED,
                topic=topic,
                source="brainstorm",
                prompt_version_id=request.prompt_version_id,
                request_key=record.key,
            )
            for text, topic in pairs[:asked]
        ]
        report = self._tasks.add(found)
        return Outcome(added=len(report.added), duplicates=len(report.duplicates), sample=found[0].text[:120])

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Read several replies, one after another."""
        return [self.read(record, reply) for record, reply in replies]


def _outcome(triple: Triple, flags: Sequence[Flag], new: set[str]) -> Outcome:
    """Of one stored triple; the first of equal ones takes the id out of `new`, the others are duplicates."""
    added = triple.id in new
    new.discard(triple.id)
    codes = tuple(flag.code for flag in flags)
    return Outcome(added=int(added), duplicates=int(not added), flags=codes, sample=triple.texts.query[:120])
