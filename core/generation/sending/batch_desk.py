"""Batches as pages and commands see them: which there are, and an end to those at the endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.domain.batch import BatchRecord, BatchState
from core.domain.jobs import Job
from core.domain.plans import EndpointPlan
from core.errors import NothingToDo
from core.generation.sending.bookkeeper import Reader
from core.generation.sending.teachers import OpenBatches
from core.jobs.context import JobContext
from core.storage.batches import BatchStore
from core.storage.ledger import Ledger

if TYPE_CHECKING:
    from core.generation.sending.batches import BatchHabits, BatchSender


class BatchDesk:
    """All batches of a workspace."""

    def __init__(self, store: BatchStore, open_batches: OpenBatches, habits: BatchHabits | None = None) -> None:
        self._store = store
        self._habits = habits
        self.open = open_batches

    def sender(self, ledger: Ledger, reader: Reader, plan: EndpointPlan, context: JobContext) -> BatchSender:
        """One run over a job's requests, by batches."""
        from core.generation.sending.batches import BatchHabits, BatchSender, Provider  # the client library: only in the process of a job

        return BatchSender(ledger, reader, plan, context, Provider(self._store, self.open, self._habits or BatchHabits()))

    def of_job(self, job_id: str) -> list[BatchRecord]:
        """A job's batches, the oldest first."""
        return self._store.of_job(job_id)

    def list(self, *, limit: int = 200) -> list[BatchRecord]:
        """All batches, newest first."""
        return self._store.find(limit=limit)

    def away(self, keys: Sequence[str]) -> dict[str, int]:
        """How many of these requests are with a provider, by the job that sent them."""
        return self._store.away(keys)

    def cancel(self, job: Job, plan: EndpointPlan) -> int:
        """Ask the endpoint to stop working on a job's batches; returns how many were asked for.

        What was answered until then is paid, and collected by the job: by itself while it runs, else when it is resumed.

        Raises:
            NothingToDo: the job has no batch at the endpoint.
            EndpointError: the endpoint cannot be asked.
        """
        asked = [str(b.provider_id) for b in self._store.of_job(job.id) if b.state is BatchState.SUBMITTED]
        if not asked:
            raise NothingToDo(f"Job {job.id} has no batch at an endpoint.", hint="python -m core batches list shows all batches.")
        asyncio.run(self._cancel(plan, asked))
        return len(asked)

    async def _cancel(self, plan: EndpointPlan, provider_ids: Sequence[str]) -> None:
        from core.llm.batch_client import Gone

        client = self.open(plan)
        try:
            for provider_id in provider_ids:
                try:
                    await client.cancel(provider_id)
                except Gone:
                    continue  # the job finds out and says so
        finally:
            await client.close()
