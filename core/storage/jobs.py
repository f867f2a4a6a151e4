"""Rows of jobs. What a row means together with its process is decided in core.jobs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from core.domain.jobs import Failure, Job, JobKind, JobState
from core.storage.database import Database
from core.storage.schema import jobs


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """Names one process for ever: a reused pid has another start time, a rebooted machine another boot id."""

    pid: int
    started: float  # seconds since the epoch
    boot_id: str


class JobStore:
    """Job rows in, jobs out."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def folder_of(self, job_id: str) -> Path:
        """Folder of a job's files."""
        return self._folder / job_id

    def add(self, job: Job) -> None:
        """Store a new job."""
        with self._database.transaction() as connection:
            connection.execute(
                insert(jobs).values(
                    id=job.id,
                    kind=job.kind.value,
                    title=job.title,
                    plan=job.plan,
                    plan_hash=job.plan_hash,
                    dataset_version_id=job.dataset_version_id,
                    state=job.state.value,
                    created_at=job.created_at,
                )
            )

    def get(self, job_id: str) -> tuple[Job, ProcessMark | None] | None:
        """One job as stored, with the mark of its process."""
        with self._database.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
        return self._read(row) if row else None

    def find(
        self, kind: JobKind | None = None, *, limit: int = 200, states: Collection[JobState] = ()
    ) -> list[tuple[Job, ProcessMark | None]]:
        """Newest first; with `states` only jobs whose row is in one of them, which the process may not be."""
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        if kind:
            query = query.where(jobs.c.kind == kind.value)
        if states:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        with self._database.reading() as connection:
            return [self._read(row) for row in connection.execute(query).mappings()]

    def set(self, job_id: str, *, state: JobState | None = None, failure: Failure | None = None, **columns: Any) -> None:
        """Change columns of a row."""
        if state is not None:
            columns["state"] = state.value
        if failure is not None:
            columns["failure"] = asdict(failure)
        with self._database.transaction() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(**columns))

    def requeue(self, job: Job, mark: ProcessMark | None, *, at: float) -> bool:
        """Take an ended job for another start; False where somebody else was faster. `at` is seconds since the epoch."""
        # By the process that was seen: the row's state may still be written by that process on its way out.
        seen = (jobs.c.id == job.id, jobs.c.pid.is_not_distinct_from(mark.pid if mark else None))
        values = {"state": JobState.QUEUED.value, "pid": None, "heartbeat_at": at, "ended_at": None, "failure": None}
        with self._database.transaction() as connection:
            return connection.execute(update(jobs).where(*seen).values(**values)).rowcount == 1

    def _read(self, row: RowMapping) -> tuple[Job, ProcessMark | None]:
        job = Job(
            id=row["id"],
            kind=JobKind(row["kind"]),
            title=row["title"],
            state=JobState(row["state"]),
            plan=row["plan"],
            plan_hash=row["plan_hash"],
            folder=self.folder_of(row["id"]),
            dataset_version_id=row["dataset_version_id"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            heartbeat_at=row["heartbeat_at"],
            pid=row["pid"],
            failure=Failure(**row["failure"]) if row["failure"] else None,
        )
        mark = ProcessMark(row["pid"], row["process_start"], row["boot_id"]) if row["pid"] else None
        return job, mark
