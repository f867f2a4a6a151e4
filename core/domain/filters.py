"""Which triples, and in which order: one object the pages, the shell and the store all understand."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from core.domain.groups import TaskGroup
from core.domain.people import Seat
from core.domain.triple import Verdict


class TripleOrder(StrEnum):
    """Order of a listing or a queue; ties break by order of arrival."""

    SUSPICIOUS = "most suspicious first"
    OLDEST = "oldest first"
    NEWEST = "newest first"
    RANDOM = "random"
    GROUP = "by group"
    TASK = "by task"
    LANGUAGE = "by language"
    PROMPT = "by prompt version"


@dataclass(frozen=True, slots=True)
class TripleFilter:
    """All given conditions hold together; a field left empty does not narrow."""

    text: str = ""  # occurs in the query, positive, negative or task as they stand now
    groups: tuple[TaskGroup, ...] = ()
    task_id: str | None = None
    topic: str | None = None
    languages: tuple[str, ...] = ()  # of the query or of the documents
    verdict: Verdict | None = None
    reason: str | None = None  # of a rejection
    flag_code: str | None = None  # an automatic check speaks of this fault
    source: str | None = None
    prompt_version_id: str | None = None
    reviewer: str | None = None  # who decided last
    flagged: bool | None = None  # by a person
    suspicious: bool | None = None  # by any automatic check
    least_suspicion: float | None = None  # sum of the weights of what the checks found
    most_suspicion: float | None = None
    since: str = ""  # last decided, or written where nobody decided: a day, YYYY-MM-DD in UTC
    until: str = ""  # the last day that still passes
    without_negative: bool | None = None
    without_prompt: bool | None = None  # came from no prompt version
    singly: bool | None = None  # the verdict was given on this triple by itself, not in bulk
    not_among: tuple[str, ...] = ()  # leave out these ids
    not_skipped_by: str | None = None  # leave out what this reviewer skipped
    open_to: Seat | None = None  # leave out what others hold, and what this reviewer read as one of several

    @property
    def empty(self) -> bool:
        """Whether every triple passes."""
        return self == TripleFilter()

    def as_dict(self) -> dict[str, Any]:
        """The conditions that narrow, as plain values for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `as_dict`; unknown keys are refused by the constructor."""
        known = {f.name for f in fields(cls)}
        read = {name: value for name, value in values.items() if name in known}
        if "groups" in read:
            read["groups"] = tuple(TaskGroup(g) for g in read["groups"])
        read |= {name: tuple(read[name]) for name in ("languages", "not_among") if name in read}
        if read.get("verdict"):
            read["verdict"] = Verdict(read["verdict"])
        return cls(**read, **{name: value for name, value in values.items() if name not in known})


EVERYTHING = TripleFilter()


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """What one reviewer works through: pending triples that pass a filter, in an order; or disputed ones, to settle them."""

    wanted: TripleFilter = EVERYTHING
    order: TripleOrder = TripleOrder.SUSPICIOUS
    seed: int = 0
    reviewer: str = ""
    holder: str = ""  # the reviewer's window; "" takes no leases
    disputed: bool = False

    @property
    def pending(self) -> TripleFilter:
        """The filter, narrowed to what waits and what this reviewer has not skipped; `open_to` narrows it to free cards."""
        verdict = Verdict.DISPUTED if self.disputed else Verdict.PENDING
        return replace(self.wanted, verdict=verdict, not_skipped_by=self.reviewer or None)


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many triples of a task pass a filter."""

    task_id: str
    group: TaskGroup
    task: str
    triples: int
