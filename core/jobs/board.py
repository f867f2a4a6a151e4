"""Start, watch, pause, stop and resume jobs: the one place that says what state a job is in."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.domain.identity import plan_hash
from core.domain.jobs import EndRequest, Failure, Job, JobKind, JobState
from core.errors import BadInput, NotFound
from core.jobs.context import STOP_FILE, ask_to_end, end_request, read_request
from core.jobs.events import Event, read_events
from core.jobs.processes import is_alive, kill_group, mark_of
from core.settings import PROJECT_FOLDER, Settings
from core.storage.artifacts import read_json, write_json
from core.storage.database import now, translated_errors
from core.storage.jobs import JobStore, ProcessMark

EXIT_SECONDS = 10.0  # between a job's result and the end of its process
START_GRACE_SECONDS = 20.0  # between the row and the first sign of the process
LOST = Failure("job_lost", "The process is gone and left no result.", "Read the log; then resume it or start it again.")


class JobBoard:
    """All jobs of a workspace, as every viewer sees them."""

    def __init__(
        self,
        store: JobStore,
        settings: Settings,
        *,
        environment: Callable[[], Mapping[str, str]] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "core"),
    ) -> None:
        self._store = store
        self._settings = settings
        self._environment = environment  # of the child; None = inherited. Keys travel here, never in the plan.
        self._program = program

    def start(self, kind: JobKind, plan: BaseModel, *, title: str, dataset_version_id: str | None = None) -> Job:
        """Store a job and start its process, which lives on when we end."""
        values = plan.model_dump(mode="json")
        job_id = f"{kind.value}-{uuid.uuid4().hex[:10]}"
        job = Job(
            id=job_id,
            kind=kind,
            title=title,
            state=JobState.QUEUED,
            plan=values,
            plan_hash=plan_hash(values),
            folder=self._store.folder_of(job_id),
            dataset_version_id=dataset_version_id,
            created_at=now(),
        )
        write_json(job.folder / "plan.json", values)
        self._store.add(job)
        self._launch(job)
        return self.get(job_id)

    def get(self, job_id: str) -> Job:
        """One job as it is now.

        Raises:
            NotFound: no such job.
        """
        found = self._store.get(job_id)
        if found is None:
            raise NotFound(f"There is no job {job_id}.", hint="List them: python -m core jobs list")
        return self._as_it_is(*found)

    def find(self, kind: JobKind | None = None, *, limit: int = 200) -> list[Job]:
        """Jobs, newest first."""
        return [self._as_it_is(job, mark) for job, mark in self._store.find(kind, limit=limit)]

    def active(self) -> list[Job]:
        """Jobs at work now."""
        return [job for job in self.find() if job.state.active]

    def pause(self, job_id: str, *, by: str = "") -> None:
        """Ask the job to finish its step, save and end as paused: the replies under way are waited for, however long they take.

        Raises:
            BadInput: it is not at work, or ends already.
        """
        job = self.get(job_id)
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            raise BadInput(f"Job {job_id} cannot be paused: it is {job.state.value}.", hint="Only a job at work can.")
        ask_to_end(job.folder, EndRequest(JobState.PAUSED, by, now()))
        self._store.set(job_id, state=JobState.PAUSING)

    def stop(self, job_id: str, *, by: str = "", grace_seconds: float = 300.0) -> None:
        """Ask the job to finish its step and save; end its process group if it has not done so after the grace.

        A paused job is stopped at once.

        Raises:
            BadInput: it is neither at work nor paused.
        """
        job = self.get(job_id)
        asked = EndRequest(JobState.STOPPED, by, now())
        if job.state is JobState.PAUSED:
            write_json(job.folder / "result.json", {"state": asked.state.value, "result": job.result, "ended_on": asdict(asked)})
            self._store.set(job_id, state=asked.state)
            return
        if not job.state.active:
            raise BadInput(f"Job {job_id} is not running: it is {job.state.value}.", hint="Resume it, or start a new one.")
        ask_to_end(job.folder, asked)
        self._store.set(job_id, state=JobState.STOPPING)
        threading.Thread(target=self._kill_after, args=(job_id, grace_seconds), daemon=True).start()

    def resume(self, job_id: str) -> Job:
        """Start the job again where it left off; what that means is the use case's business (checkpoints, ledger)."""
        job = self.get(job_id)
        stored = self._store.get(job_id)
        just_queued = stored is not None and stored[1] is None and _age_seconds(stored[0]) < START_GRACE_SECONDS
        if stored is None or just_queued or job.state.active or job.state is JobState.DONE:
            only = "Only paused, stopped, failed or lost jobs can."
            raise BadInput(f"Job {job_id} cannot be resumed: it is {job.state.value}.", hint=only)
        limit = time.monotonic() + EXIT_SECONDS
        while is_alive(stored[1]) and time.monotonic() < limit:  # the result is written just before the process ends
            time.sleep(0.02)
        if not self._store.requeue(*stored, at=time.time()):
            raise BadInput(f"Job {job_id} was resumed by somebody else just now.", hint="Watch it on its page.")
        for name in (STOP_FILE, "result.json"):
            (job.folder / name).unlink(missing_ok=True)
        self._launch(job)
        return self.get(job_id)

    def events(self, job_id: str, *, offset: int = 0) -> tuple[list[Event], int]:
        """Events from byte `offset` on, and where to go on."""
        return read_events(self._store.folder_of(job_id) / "events.jsonl", offset=offset)

    def log_tail(self, job_id: str, *, characters: int = 20_000) -> str:
        """End of what the process printed."""
        path = self._store.folder_of(job_id) / "log.txt"
        with translated_errors():
            if not path.exists():
                return ""
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - characters))
                return file.read().decode("utf-8", errors="replace")

    def wait(self, job_id: str, *, timeout_seconds: float | None = None, poll_seconds: float = 0.2) -> Job:
        """Block until the job is over (or the time is up) and return it."""
        limit = time.monotonic() + timeout_seconds if timeout_seconds else None
        while (job := self.get(job_id)).state.active and (limit is None or time.monotonic() < limit):
            time.sleep(poll_seconds)
        return job

    def _launch(self, job: Job) -> None:
        command = [*self._program, "jobs", "run", job.id, "--workspace", str(self._settings.workspace)]
        with translated_errors(), (job.folder / "log.txt").open("ab") as log:
            # A session of its own survives our Ctrl-C and kill; a file, unlike a pipe, never fills and blocks it.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=PROJECT_FOLDER,
                env=dict(self._environment()) if self._environment else None,
            )
        mark = mark_of(process.pid)
        self._store.set(job.id, pid=mark.pid, process_start=mark.started, boot_id=mark.boot_id)
        threading.Thread(target=process.wait, daemon=True).start()  # collects the zombie while we live

    def _kill_after(self, job_id: str, seconds: float) -> None:
        if self.wait(job_id, timeout_seconds=seconds).state.active:
            found = self._store.get(job_id)
            if found and found[1]:
                kill_group(found[1])

    def _as_it_is(self, job: Job, mark: ProcessMark | None) -> Job:
        """State = result file if there is one, else the process, else lost."""
        ending: dict[str, Any] | None = read_json(job.folder / "result.json")
        if ending is not None:
            failure = Failure(**ending["failure"]) if "failure" in ending else None
            asked = read_request(ending["ended_on"]) if "ended_on" in ending else None
            return replace(job, state=JobState(ending["state"]), failure=failure, ended_on=asked, result=ending.get("result", {}))
        if job.state is JobState.FAILED:  # not even the result could be written (disk full)
            return job
        if is_alive(mark):
            asked = end_request(job.folder)
            return replace(job, state=_live_state(job, asked), ended_on=asked)
        if mark is None and _age_seconds(job) < START_GRACE_SECONDS:
            return replace(job, state=JobState.QUEUED)
        return replace(job, state=JobState.LOST, failure=LOST)


def _live_state(job: Job, asked: EndRequest | None) -> JobState:
    if asked is not None:
        return JobState.PAUSING if asked.state is JobState.PAUSED else JobState.STOPPING
    return JobState.QUEUED if job.state is JobState.QUEUED else JobState.RUNNING


def _age_seconds(job: Job) -> float:
    """Since it was queued, the first time or again."""
    path: Path = job.folder / "plan.json"
    queued_at = job.heartbeat_at or (path.stat().st_mtime if path.exists() else 0.0)
    return time.time() - queued_at
