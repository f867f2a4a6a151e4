"""Long work: what a job is and which states it can be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class JobKind(StrEnum):
    """What a job does."""

    BRAINSTORM = "brainstorm"
    GENERATE = "generate"
    CHECK = "check"
    MINE = "mine"
    LIKEN = "liken"
    REWRITE = "rewrite"
    TRAIN = "train"
    EXPORT = "export"
    INDEX = "index"
    MAP = "map"
    EVALUATE = "evaluate"


class JobState(StrEnum):
    """Derived from the row, the process and the result file; never from a Popen object."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"

    @property
    def active(self) -> bool:
        """Whether a process is, or soon will be, at work."""
        return self in (JobState.QUEUED, JobState.RUNNING, JobState.PAUSING, JobState.STOPPING)

    @property
    def resumable(self) -> bool:
        """Whether the job is over without being done, and can go on where it left off."""
        return self in (JobState.PAUSED, JobState.STOPPED, JobState.FAILED, JobState.LOST)


@dataclass(frozen=True, slots=True)
class EndRequest:
    """Somebody asked a job at work to end: `state` is what it becomes, paused or stopped.

    Either way the step under way is finished and all is kept. Paused says that the job is meant to go on, stopped that it is not.
    """

    state: JobState
    by: str = ""  # name of the person; "" where it is not known
    at: str = ""  # UTC


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: the error's code, message and hint."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as everyone sees it: page, shell, other viewers."""

    id: str
    kind: JobKind
    title: str
    state: JobState
    plan: dict[str, Any]
    plan_hash: str
    folder: Path  # plan.json, events.jsonl, log.txt, result.json and the job's artifacts
    dataset_version_id: str | None = None
    created_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    heartbeat_at: float | None = None  # seconds since the epoch; an old one on a live process means it hangs
    pid: int | None = None
    failure: Failure | None = None
    ended_on: EndRequest | None = None  # of a job that is, or will be, paused or stopped
    result: dict[str, Any] = field(default_factory=dict)
