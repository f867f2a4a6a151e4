"""What becomes of a stored reply: triples with their flags, or tasks; else a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from core.domain.chat import ChatReply
from core.domain.groups import GROUPS
from core.domain.request import RequestRecord
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Flag, Triple
from core.generation.checks.side_process import Checked
from core.generation.checks.triple_checks import check_triple
from core.generation.replies.parsing import Reading, read_example, read_tasks, read_texts
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

    def add(self, new: Sequence[Triple], flags: Mapping[str, Sequence[Flag]] = ..., odds: Mapping[str, float] = ..., /) -> AddedSome:
        """Store those that are not there yet, with flags and probability of a fault by id."""
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """Replies that were read, and whose triples may be with the checks still: `finish` stores them, once `ready` is done."""

    ready: Future[Any]
    finish: Callable[[], list[Outcome]]


class ExampleReader:
    """Replies of the example step become triples."""

    def __init__(
        self,
        triples: TripleSink,
        tasks: TaskStore,
        check: Callable[[Triple], Sequence[Flag]] = check_triple,
        start_checks: Callable[[Sequence[Triple]], Future[list[Checked]]] | None = None,
    ) -> None:
        """`check` flags a new triple: by the workspace's thresholds where the workbench gives it. With `start_checks`, others do it."""
        self._triples = triples
        self._check = check
        self._start_checks = start_checks
        self._tasks = tasks
        self._known: dict[str, tuple[str, str]] = {}  # task id -> text, topic

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store the triple of a reply with its flags."""
        return self.read_all([(record, reply)])[0]

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Store the triples of several replies at once, in one transaction; an outcome each, in their order."""
        prepared = self.prepare(replies)
        prepared.ready.result()
        return prepared.finish()

    def prepare(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> Prepared:
        """Read replies and have what they hold checked; nothing is stored yet."""
        made = [self._make(record, reply) for record, reply in replies]
        triples = [one for one in made if isinstance(one, Triple)]
        if self._start_checks is not None and triples:
            checked = self._start_checks(triples)
        else:
            checked = _known([Checked(self._check(triple)) for triple in triples])
        return Prepared(checked, lambda: self._store(made, triples, checked.result()))

    def _store(self, made: Sequence[Outcome | Triple], triples: Sequence[Triple], checked: Sequence[Checked]) -> list[Outcome]:
        flags = {triple.id: found.flags for triple, found in zip(triples, checked, strict=True)}
        odds = {t.id: c.fault_probability for t, c in zip(triples, checked, strict=True) if c.fault_probability is not None}
        new = set(self._triples.add(triples, flags, odds).added) if triples else set()
        return [one if isinstance(one, Outcome) else _outcome(one, flags[one.id], new) for one in made]

    def _make(self, record: RequestRecord, reply: ChatReply) -> Outcome | Triple:
        request = record.request
        texts, reading = read_example(request.group, reply)
        if texts is None:
            return Outcome(reading.reason, reading.detail)
        task, topic = self._task_of(record)
        return Triple(
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

    def prepare(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> Prepared:
        """Nothing has to be waited for: all is read when it is stored."""
        return Prepared(_known(None), lambda: self.read_all(replies))


class FieldReader:
    """Replies of the rewrite step hold one text. It stays in the ledger until a person takes it over: nothing else is stored."""

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Say whether a reply holds the text that was asked for."""
        text, reading = read_field(record, reply)
        return Outcome(reading.reason, reading.detail) if text is None else Outcome(sample=text[:120])

    def read_all(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> list[Outcome]:
        """Read several replies, one after another."""
        return [self.read(record, reply) for record, reply in replies]

    def prepare(self, replies: Sequence[tuple[RequestRecord, ChatReply]]) -> Prepared:
        """Nothing has to be waited for."""
        return Prepared(_known(None), lambda: self.read_all(replies))


def read_field(record: RequestRecord, reply: ChatReply) -> tuple[str | None, Reading]:
    """The one text a request of the rewrite step asked for, or None and why."""
    names = list((record.request.schema or {}).get("properties", ()))
    texts, reading = read_texts(names, reply)
    return (next(iter(texts.values())) if texts else None), reading


def _known(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def _outcome(triple: Triple, flags: Sequence[Flag], new: set[str]) -> Outcome:
    """Of one stored triple; the first of equal ones takes the id out of `new`, the others are duplicates."""
    added = triple.id in new
    new.discard(triple.id)
    codes = tuple(flag.code for flag in flags)
    return Outcome(added=int(added), duplicates=int(not added), flags=codes, sample=triple.texts.query[:120])
