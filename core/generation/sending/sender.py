"""Send planned requests: so many at once, within the budget, every reply stored before it is read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

from core.domain.chat import ChatModel, ChatReply
from core.domain.plans import EMBEDDED_TEACHER, EndpointPlan
from core.domain.request import Amount, RequestRecord, RequestState
from core.errors import BudgetReached, EndpointError, EndpointRejected, EndpointUnreachable, RateLimited, WorkbenchError
from core.generation.replies.reply_readers import Outcome
from core.generation.sending.attempts import LARGEST_CAP, Attempts, TakenOver, ask, cap_of
from core.generation.sending.bookkeeper import READ_AT_ONCE, Bookkeeper, Reader, read_together
from core.generation.sending.purse import Purse, bill
from core.generation.sending.supply import Supply
from core.jobs.context import JobContext
from core.storage.ledger import CUT_OFF_REASON, Ledger, Received

CHARACTERS_A_TOKEN = 4.0  # of English; for estimates
REFUSALS_BEFORE_ANY_REPLY = 3  # the endpoint is down or the key is wrong: more attempts only cost time
REFUSALS_IN_A_ROW = 12  # after it has worked: an outage; stop and let a person resume
PROGRESS_SECONDS = 0.3


class Sender:
    """One run over one job's requests."""

    def __init__(self, ledger: Ledger, reader: Reader, plan: EndpointPlan, context: JobContext) -> None:
        self._ledger = ledger
        self._reader = reader
        self._plan = plan
        self._context = context
        tally = ledger.tally(context.job.id)
        self._purse = Purse(plan, tally)
        self._total, self._ended = tally.total, tally.ended
        self._failed = tally.failed
        self._cost = tally.known_cost
        self._counting = threading.Lock()  # replies are read in the bookkeeper's thread
        self._refused_in_a_row = 0
        self._answered = tally.parsed > 0
        self._ending: WorkbenchError | None = None
        self._told_at = 0.0

    def read_stored(self) -> None:
        """Read replies that an earlier run stored and did not come to read; costs nothing."""
        waiting = self._ledger.to_read(self._context.job.id)
        stored = [(record, Received(record.key, record.stored_reply, record.cost)) for record in waiting]
        for start in range(0, len(stored), READ_AT_ONCE):
            read_together(self._ledger, self._reader, stored[start : start + READ_AT_ONCE], self._tell_of)  # their cost is counted

    def has_to_send(self) -> bool:
        """Whether a reply is missing, or was cut off and can be asked for with more room."""
        return self._ledger.has_to_send(self._context.job.id) or bool(self._to_repeat())

    async def send(self, model: ChatModel) -> None:
        """Send until all are answered, someone asks to stop, or nothing more can be sent; then once more what was cut off.

        Raises:
            EndpointError: the endpoint refuses everything; what was answered is kept.
            BudgetReached: the rest may not be sent; what was answered is kept.
        """
        records = self._ledger.to_send(self._context.job.id)
        self._count_lost(records)
        await self._send_all(model, records)
        if self._ending is None and not self._context.stop_requested():
            await self._send_all(model, self._to_repeat())
        self._tell(now=True)
        if self._ending is not None:
            raise self._ending

    def _to_repeat(self) -> list[RequestRecord]:
        """The embedded teacher is left out: its replies are bounded, and slow."""
        if self._plan.base_url == EMBEDDED_TEACHER:
            return []
        records = self._ledger.truncated(self._context.job.id)
        return [record for record in records if int(record.request.parameters["max_tokens"]) < LARGEST_CAP]

    def _count_lost(self, records: Sequence[RequestRecord]) -> None:
        """Requests that were in flight when an earlier run was killed: maybe paid, and sent again."""
        for record in (r for r in records if r.state is RequestState.SENT):
            worst = self._purse.worst(record.request, cap_of(record))
            self._ledger.mark_maybe_paid(record.key, worst, state=RequestState.PLANNED)
            self._purse.lose(worst)

    async def _send_all(self, model: ChatModel, records: Sequence[RequestRecord]) -> None:
        again = sum(record.state is RequestState.FAILED for record in records)
        self._ended -= again
        self._failed -= again
        waiting = iter(records)
        senders = min(self._plan.in_flight, len(records))
        with Bookkeeper(self._ledger, self._reader, self._context.job.id, self._was_read) as books:
            try:
                async with asyncio.TaskGroup() as group:
                    free = self._plan.budget.money is None and self._plan.budget.tokens is None
                    supply = Supply(partial(self._attempts, books, waiting), model, senders if free else 0, group)
                    for _ in range(senders):
                        group.create_task(self._work(model, books, supply))
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from several  # the full disk, the missing model: by its own name
        books.check()

    def _attempts(self, books: Bookkeeper, waiting: Iterator[RequestRecord]) -> Attempts | None:
        """At the next request; None where there is none, or nothing more may be sent."""
        record = None if self._ending is not None or self._context.stop_requested() else next(waiting, None)
        return Attempts(record, self._purse, self._ledger, books) if record else None

    async def _work(self, model: ChatModel, books: Bookkeeper, supply: Supply) -> None:
        async for attempts in supply:
            # What is claimed is within the budget: that others are beyond it is no reason to leave it.
            ending = self._ending if not (attempts.claimed and isinstance(self._ending, BudgetReached)) else None
            if ending is None and not self._context.stop_requested():
                await self._send_one(model, books, attempts)
            elif attempts.claimed:
                await attempts.give_back()

    async def _send_one(self, model: ChatModel, books: Bookkeeper, attempts: Attempts) -> None:
        record = attempts.record
        try:
            reply = await ask(model, attempts)
        except TakenOver:
            return
        except BudgetReached as reached:
            self._ending = self._ending or reached
            if attempts.made:
                await self._give_up(books, record, reached)
            return
        except EndpointError as error:
            await attempts.failed(maybe_billed=False)
            await self._give_up(books, record, error)
            return
        await self._keep(books, record, reply, attempts)

    async def _keep(self, books: Bookkeeper, record: RequestRecord, reply: ChatReply, attempts: Attempts) -> None:
        received, paid = bill(record, reply, attempts.reserved or Amount(), self._plan.price)
        attempts.end(paid)
        await books.received(record, received)
        self._refused_in_a_row, self._answered = 0, True

    async def _give_up(self, books: Bookkeeper, record: RequestRecord, error: WorkbenchError) -> None:
        """No reply came. A repeat without one leaves the request as it was: cut off, with its first reply."""
        reason = error.code if record.raw is None else CUT_OFF_REASON
        body = (error.body or None) if isinstance(error, EndpointError) else None
        later = record.raw is not None and isinstance(error, BudgetReached | EndpointUnreachable | RateLimited)
        job_id = self._context.job.id
        await books.note(partial(self._ledger.mark_failed, record.key, reason, error_body=body, job_id=job_id, repeat_later=later))
        self._over(record, Outcome(reason, error.message))
        if not isinstance(error, EndpointUnreachable | EndpointRejected | RateLimited):
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= (REFUSALS_IN_A_ROW if self._answered else REFUSALS_BEFORE_ANY_REPLY):
            self._ending = self._ending or error

    def _was_read(self, record: RequestRecord, received: Received, outcome: Outcome) -> None:
        with self._counting:
            self._cost += received.cost or 0.0
        self._tell_of(record, received, outcome)

    def _tell_of(self, record: RequestRecord, received: Received, outcome: Outcome) -> None:
        reply, repeated = received.reply, received.first is not None
        self._over(record, outcome, seconds=reply.seconds, cost=received.cost, tokens=reply.completion_tokens, repeated=repeated)

    def _over(self, record: RequestRecord, outcome: Outcome, **facts: object) -> None:
        request = record.request
        self._context.emit(
            "request",
            key=record.key,
            group=request.group.value,
            language=request.language,
            outcome="failed" if outcome.reason else "parsed",
            reason=outcome.reason,
            detail=outcome.detail,
            flags=list(outcome.flags),
            added=outcome.added,
            duplicates=outcome.duplicates,
            sample=outcome.sample,
            **facts,
        )
        with self._counting:
            self._ended += 1
            self._failed += bool(outcome.reason)
            self._tell()

    def _tell(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._told_at = time.monotonic()
            note = f"{self._failed} failed, ${self._cost:.4f}" if self._cost else f"{self._failed} failed"
            self._context.progress(self._ended, self._total, "requests", note)
