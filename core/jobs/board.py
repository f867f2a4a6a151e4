"""Start, watch, pause, stop and resume jobs: the one place that says what state a job is in."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict

from pydantic import BaseModel

from core.domain.identity import plan_hash
from core.domain.jobs import EndRequest, Job, JobKind, JobState
from core.errors import BadInput, NotFound
from core.jobs.context import EARLIER_RESULT_FILE, RESULT_FILE, STOP_FILE, ask_to_end
from core.jobs.events import Event, read_events
from core.jobs.line import Line
from core.jobs.processes import is_alive, kill_group, mark_of
from core.jobs.state import START_GRACE_SECONDS, active_jobs, age_seconds, as_it_is
from core.settings import PROJECT_FOLDER, Settings
from core.storage.artifacts import write_json
from core.storage.database import now, translated_errors
from core.storage.jobs import JobStore

EXIT_SECONDS = 10.0  # between a job's result and the end of its process


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
        self.line = Line(store, settings.jobs_folder, at_once=settings.trainings_at_once)

    def start(self, kind: JobKind, plan: BaseModel, *, title: str, dataset_version_id: str | None = None) -> Job:
        """Store a job and start its process, which lives on when we end; some kinds wait in it for their turn (core.jobs.line)."""
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
        self.line.join(job)
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
        return as_it_is(*found)

    def find(self, kind: JobKind | None = None, *, limit: int = 200) -> list[Job]:
        """Jobs, newest first."""
        return [as_it_is(job, mark) for job, mark in self._store.find(kind, limit=limit)]

    def active(self, *kinds: JobKind) -> list[Job]:
        """Jobs at work now, of some kinds or of all, newest first within each kind."""
        return active_jobs(self._store, *kinds)

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
            write_json(job.folder / RESULT_FILE, {"state": asked.state.value, "result": job.result, "ended_on": asdict(asked)})
            self._store.set(job_id, state=asked.state)
            return
        if not job.state.active:
            raise BadInput(f"Job {job_id} is not running: it is {job.state.value}.", hint="Resume it, or start a new one.")
        ask_to_end(job.folder, asked)
        self._store.set(job_id, state=JobState.STOPPING)
        threading.Thread(target=self._kill_after, args=(job_id, grace_seconds), daemon=True).start()

    def resume(self, job_id: str) -> Job:
        """Start the job again, at the end of its line; where it goes on is the use case's business (checkpoints, ledger)."""
        job = self.get(job_id)
        stored = self._store.get(job_id)
        just_queued = stored is not None and stored[1] is None and age_seconds(stored[0]) < START_GRACE_SECONDS
        if stored is None or just_queued or job.state.active or job.state is JobState.DONE:
            only = "Only paused, stopped, failed or lost jobs can."
            raise BadInput(f"Job {job_id} cannot be resumed: it is {job.state.value}.", hint=only)
        limit = time.monotonic() + EXIT_SECONDS
        while is_alive(stored[1]) and time.monotonic() < limit:  # the result is written just before the process ends
            time.sleep(0.02)
        if not self._store.requeue(*stored, at=time.time()):
            raise BadInput(f"Job {job_id} was resumed by somebody else just now.", hint="Watch it on its page.")
        (job.folder / STOP_FILE).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # of a lost job
            (job.folder / RESULT_FILE).replace(job.folder / EARLIER_RESULT_FILE)
        self.line.join(job)
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
        if self.wait(job_id, timeout_seconds=seconds).state is JobState.STOPPING:  # another state: it was resumed meanwhile
            found = self._store.get(job_id)
            if found and found[1]:
                kill_group(found[1])
