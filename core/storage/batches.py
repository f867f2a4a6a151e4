"""Batches of requests that are with a provider: stored before and after every step, so that no batch is submitted twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import RowMapping, func, insert, select, update

from core.domain.batch import BatchRecord, BatchState
from core.domain.request import RequestState
from core.storage.database import Database, now
from core.storage.schema import batches, requests

KEYS_A_QUERY = 500  # as in the ledger
OPEN = batches.c.state.in_([state.value for state in BatchState if state.open])


class BatchStore:
    """Batches by our own ids. Call it inside `Ledger.together` where a request's state changes with it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, batch_id: str, job_id: str, base_url: str, keys: Sequence[str]) -> None:
        """Open a batch with these requests, which the ledger has marked as sent."""
        row = {"id": batch_id, "job_id": job_id, "base_url": base_url, "state": BatchState.PREPARED.value, "requests": len(keys)}
        with self._database.transaction() as connection:
            connection.execute(insert(batches).values(**row, created_at=now()))
            for some in _slices(keys):
                connection.execute(update(requests).where(requests.c.key.in_(some)).values(batch_id=batch_id))

    def mark_uploaded(self, batch_id: str, file_id: str | None) -> None:
        """Its file is at the provider; None where it turned out to be gone."""
        state = BatchState.UPLOADED if file_id else BatchState.PREPARED
        self._set(batch_id, state=state.value, file_id=file_id)

    def mark_submitted(self, batch_id: str, provider_id: str) -> None:
        """The provider has it and calls it so."""
        self._set(batch_id, state=BatchState.SUBMITTED.value, provider_id=provider_id, submitted_at=now())

    def mark_seen(self, batch_id: str, status: str, *, completed: int, failed: int) -> None:
        """What the provider tells of it now."""
        self._set(batch_id, status=status, completed=completed, failed=failed)

    def send_back(self, keys: Sequence[str], *, as_if_never_sent: bool = False) -> None:
        """These requests came back without an answer: they are to be sent again.

        With `as_if_never_sent` the attempt is not counted, for nobody worked on it.
        """
        attempts = requests.c.attempts - 1 if as_if_never_sent else requests.c.attempts
        back = {"state": RequestState.PLANNED.value, "batch_id": None, "attempts": attempts}
        with self._database.transaction() as connection:
            for some in _slices(keys):
                connection.execute(update(requests).where(requests.c.key.in_(some)).values(**back))

    def end(self, batch_id: str, state: BatchState, *, note: str = "") -> None:
        """Nothing more is expected of it."""
        self._set(batch_id, state=state.value, note=note, ended_at=now())

    def of_job(self, job_id: str) -> list[BatchRecord]:
        """A job's batches in the order they were made."""
        query = select(batches).where(batches.c.job_id == job_id).order_by(batches.c.created_at, batches.c.id)
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query).mappings()]

    def find(self, *, limit: int = 200) -> list[BatchRecord]:
        """All batches, newest first."""
        query = select(batches).order_by(batches.c.created_at.desc(), batches.c.id).limit(limit)
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query).mappings()]

    def away(self, keys: Sequence[str]) -> dict[str, int]:
        """How many of these requests are away in batches, by the job that sent them."""
        counts: dict[str, int] = {}
        c = requests.c
        with self._database.reading() as connection:
            for some in _slices(keys):
                query = select(batches.c.job_id, func.count()).select_from(requests.join(batches, batches.c.id == c.batch_id))
                query = query.where(c.key.in_(some), c.state == RequestState.SENT.value, OPEN).group_by(batches.c.job_id)
                for job_id, count in connection.execute(query):
                    counts[job_id] = counts.get(job_id, 0) + count
        return counts

    def _set(self, batch_id: str, **columns: object) -> None:
        with self._database.transaction() as connection:
            connection.execute(update(batches).where(batches.c.id == batch_id).values(**columns))


def _slices(keys: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), KEYS_A_QUERY):
        yield list(keys[start : start + KEYS_A_QUERY])


def _record_of(row: RowMapping) -> BatchRecord:
    return BatchRecord(**{**row, "state": BatchState(row["state"])})
