"""What state a job is in: its result file if there is one, else its process, else lost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.domain.jobs import EndRequest, Failure, Job, JobKind, JobState
from core.jobs.context import EARLIER_RESULT_FILE, RESULT_FILE, end_request, read_request
from core.jobs.processes import is_alive
from core.storage.artifacts import read_json
from core.storage.jobs import JobStore, ProcessMark

START_GRACE_SECONDS = 20.0  # between the row and the first sign of the process
LOST = Failure("job_lost", "The process is gone and left no result.", "Read the log; then resume it or start it again.")


def as_it_is(job: Job, mark: ProcessMark | None) -> Job:
    """A job as stored, with the state it has now."""
    ending: dict[str, Any] | None = read_json(job.folder / RESULT_FILE)
    if ending is not None:
        failure = Failure(**ending["failure"]) if "failure" in ending else None
        asked = read_request(ending["ended_on"]) if "ended_on" in ending else None
        return replace(job, state=JobState(ending["state"]), failure=failure, ended_on=asked, result=ending.get("result", {}))
    if job.state is JobState.FAILED:  # not even the result could be written (disk full)
        return job
    if job.state is JobState.QUEUED:  # nothing was done since it was resumed: what an earlier start had brought still stands
        job = replace(job, result=(read_json(job.folder / EARLIER_RESULT_FILE) or {}).get("result", {}))
    if is_alive(mark):
        asked = end_request(job.folder)
        return replace(job, state=_live_state(job, asked), ended_on=asked)
    if mark is None and age_seconds(job) < START_GRACE_SECONDS:
        return replace(job, state=JobState.QUEUED)
    return replace(job, state=JobState.LOST, failure=LOST)


def active_jobs(store: JobStore, *kinds: JobKind) -> list[Job]:
    """Jobs at work or waiting, of some kinds or of all, newest first within each kind."""
    states = [state for state in JobState if state.active]
    return [job for kind in kinds or (None,) for stored in store.find(kind, states=states) if (job := as_it_is(*stored)).state.active]


def age_seconds(job: Job) -> float:
    """Since it was queued, the first time or again."""
    path: Path = job.folder / "plan.json"
    queued_at = job.heartbeat_at or (path.stat().st_mtime if path.exists() else 0.0)
    return time.time() - queued_at


def _live_state(job: Job, asked: EndRequest | None) -> JobState:
    if asked is not None:
        return JobState.PAUSING if asked.state is JobState.PAUSED else JobState.STOPPING
    return JobState.QUEUED if job.state is JobState.QUEUED else JobState.RUNNING
