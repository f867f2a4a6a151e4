"""Send planned requests as batches: files of requests, answered within a day, at half the price.

What is stored when, so that a kill at any point neither loses nor pays twice:

1. A batch with an id of ours, and its requests as sent, in one commit: from here on no other run may send them.
2. The file is uploaded, its id stored. A kill between the two: it is uploaded again, which costs nothing.
3. The batch is submitted with our id in its metadata, the provider's id stored. A kill between the two: it is looked for there first.
4. When it is over, its lines are committed as they came and then read; what has no answer goes back to be sent.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.batch import BatchRecord, BatchState
from core.domain.chat import ChatModel
from core.domain.plans import EndpointPlan
from core.domain.request import Amount, RequestRecord, RequestState
from core.errors import BudgetReached, EndpointError, EndpointRejected, EndpointUnreachable, RateLimited
from core.generation.sending.attempts import cap_of, chat_request
from core.generation.sending.batch_answers import RESUME, Answers, Reserves, Told
from core.generation.sending.bookkeeper import Reader
from core.generation.sending.sender import REFUSALS_BEFORE_ANY_REPLY, Sender
from core.generation.sending.teachers import OpenBatches
from core.jobs.context import JobContext
from core.llm.batch_client import MOST_BYTES, MOST_REQUESTS, BatchAnswer, BatchNews, CannotList, Gone, no_batches
from core.llm.dialect import Dialect
from core.llm.retry import Trouble
from core.storage.batches import BatchStore
from core.storage.ledger import Leaving, Ledger

TOO_MANY_AT_ONCE = frozenset(("token_limit_exceeded",))  # the provider holds only so many waiting tokens an account
GONE = "gone"  # our word for the status of a batch the provider did not know when last asked
STOP_SECONDS = 0.5  # between two looks at whether someone asks to stop


@dataclass(frozen=True, slots=True)
class BatchHabits:
    """How large batches are and how often they are looked at; the pause between two looks grows."""

    most_requests: int = MOST_REQUESTS
    most_bytes: int = MOST_BYTES
    first_pause_seconds: float = 2.0
    growth: float = 1.5
    longest_pause_seconds: float = 120.0
    failed_looks: int = 15  # in a row, each with its own retries, before the job ends and leaves the batch to a later run
    find_after_seconds: tuple[float, ...] = (0.0, 5.0, 20.0)  # a batch whose answer was lost may appear in the list a little late


@dataclass(frozen=True, slots=True)
class Provider:
    """Where batches go, and where we keep what became of them."""

    store: BatchStore
    open: OpenBatches
    habits: BatchHabits = BatchHabits()


class BatchSender(Sender):
    """One run over one job's requests, by batches."""

    def __init__(self, ledger: Ledger, reader: Reader, plan: EndpointPlan, context: JobContext, provider: Provider) -> None:
        super().__init__(ledger, reader, plan, context)
        self._store = provider.store
        self._open_client = provider.open
        self._habits = provider.habits
        self._job_id = context.job.id
        self._reserves = Reserves(self._purse)
        self._reuploaded: set[str] = set()
        self._too_many: EndpointError | None = None

    def has_to_send(self) -> bool:
        """Whether a reply is missing, is on its way in a batch, or was cut off."""
        return super().has_to_send() or bool(self._away())

    async def send(self, model: ChatModel) -> None:
        """Take up the batches of an earlier run, submit what is missing, wait until all is over; then once more what was cut off.

        When someone asks to stop, the batches go on at the provider, and a later run collects them. A model nobody has asked before
        gets one request directly, through `model`, at the full price: it tells whether key and name are right and how it wants to
        be asked, before a file of requests fails for such a reason.

        Raises:
            EndpointError: the endpoint refuses, or a batch ended early; what was answered is kept.
            BudgetReached: the rest may not be sent; what was answered is kept.
        """
        self._client = self._open_client(self._plan)
        told = Told(self._reader, self._was_read, self._over)
        self._answers = Answers(self._ledger, self._store, self._client, self._reserves, self._plan, told)
        try:
            await self._send_rounds(model)
        finally:
            await self._client.close()
        self._tell(now=True)
        if self._ending is not None:
            raise self._ending

    async def _send_rounds(self, model: ChatModel) -> None:
        for batch in self._away():
            for record in self._ledger.in_batch(batch.id):
                self._reserves.hold(record)
        records = self._ledger.to_send(self._job_id)
        self._count_lost(records)
        for record in records[:REFUSALS_BEFORE_ANY_REPLY]:
            if self._client.known_dialect() is None and self._ending is None:
                await self._send_all(model, [record])
        while True:
            await self._see_through()
            if self._ending is not None or self._context.stop_requested() or not self._prepare():
                return

    def _away(self) -> list[BatchRecord]:
        return [batch for batch in self._store.of_job(self._job_id) if batch.state.open]

    # Submitting

    def _prepare(self) -> bool:
        """Choose the requests of new batches and commit that they leave; False where there are none."""
        missing = [record for record in self._ledger.to_send(self._job_id) if record.key not in self._answers.hopeless]
        waiting, made = deque(missing + self._to_repeat()), False
        dialect = self._client.known_dialect() or Dialect()
        while waiting and self._ending is None and not self._context.stop_requested():
            chosen = self._choose(waiting, dialect)
            if not chosen:
                break
            made = self._open(chosen) or made
        return made

    def _choose(self, waiting: deque[RequestRecord], dialect: Dialect) -> list[RequestRecord]:
        """Take from the front what fits into one file and into the budget."""
        chosen: list[RequestRecord] = []
        size = 0
        while waiting and len(chosen) < self._habits.most_requests:
            record = waiting[0]
            size += len(self._client.line(record.key, chat_request(record), dialect))
            if chosen and size > self._habits.most_bytes:
                break
            try:
                if not self._reserves.take_now(record):
                    break  # until batches that are away turn out cheaper than their worst case
            except BudgetReached as reached:
                self._ending = reached
                break
            chosen.append(waiting.popleft())
        return chosen

    def _open(self, chosen: Sequence[RequestRecord]) -> bool:
        batch_id = uuid.uuid4().hex
        leaving = [Leaving(record.key, cap_of(record) if record.raw is not None else None) for record in chosen]
        with self._ledger.together():
            claimed = self._ledger.mark_all_sent(leaving, self._job_id)
            if claimed:
                self._store.add(batch_id, self._job_id, self._plan.base_url, sorted(claimed))
        for record in chosen:
            if record.key not in claimed:  # another job sends it now
                self._reserves.settle(record.key)
        again = sum(record.state is RequestState.FAILED for record in chosen if record.key in claimed)
        self._ended -= again
        self._failed -= again
        return bool(claimed)

    async def _step(self, batch: BatchRecord) -> None:
        """Bring one batch a step further."""
        if batch.state is BatchState.SUBMITTED:
            news = await self._look(batch)
            if news is not None and news.over:
                await self._collect(batch, news)
        elif batch.state is BatchState.UPLOADED:  # by an earlier run, or the provider lost the file
            found = await self._find(batch)
            if found is not None:
                self._submitted(batch, found)
            elif (now := self._now(batch)) and now.state.open:
                await self._submit(now, str(now.file_id))
        elif isinstance(self._ending, EndpointError):
            self._give_up_on(batch, "not sent any more", as_if_never_sent=True)
        else:
            await self._upload(batch)

    def _now(self, batch: BatchRecord) -> BatchRecord | None:
        return next((b for b in self._away() if b.id == batch.id), None)

    async def _upload(self, batch: BatchRecord) -> None:
        path = self._context.folder / f"batch-{batch.id}.jsonl"
        dialect = self._client.known_dialect() or Dialect()
        with path.open("wb") as file:
            for record in self._ledger.in_batch(batch.id):
                file.write(self._client.line(record.key, chat_request(record), dialect))
        try:
            file_id = await self._client.upload(path)
        except EndpointError as error:
            self._give_up_on(batch, error.message, as_if_never_sent=True)
            self._ending = self._ending or error
            return
        finally:
            path.unlink()
        self._store.mark_uploaded(batch.id, file_id)
        await self._submit(batch, file_id)

    async def _submit(self, batch: BatchRecord, file_id: str) -> None:
        for last in (False, True):
            try:
                return self._submitted(batch, await self._client.submit(file_id, batch.id))
            except Gone:
                self._file_is_gone(batch)
                return None
            except Trouble as trouble:
                if not trouble.passing and not trouble.maybe_billed:  # a clear no
                    self._give_up_on(batch, trouble.error.message, as_if_never_sent=True)
                    self._ending = self._ending or trouble.error
                    return None
                found = await self._find(batch, file_id=file_id)  # before anything is submitted again
                if found is not None:
                    return self._submitted(batch, found)
                if self._now(batch) is None:
                    return None
                if last:
                    raise trouble.error from None  # the chain may hold the key; a later run looks for it and goes on
        return None

    def _submitted(self, batch: BatchRecord, news: BatchNews) -> None:
        self._store.mark_submitted(batch.id, news.provider_id)
        self._store.mark_seen(batch.id, news.status, completed=news.completed, failed=news.failed)
        self._context.emit("batch", id=news.provider_id, requests=batch.requests, status=news.status)

    def _file_is_gone(self, batch: BatchRecord) -> None:
        if batch.id in self._reuploaded:
            error = no_batches(self._plan.base_url, 404)
            self._give_up_on(batch, error.message, as_if_never_sent=True)
            self._ending = self._ending or error
            return
        self._reuploaded.add(batch.id)
        self._store.mark_uploaded(batch.id, None)

    async def _find(self, batch: BatchRecord, *, file_id: str | None = None) -> BatchNews | None:
        """The batch of a submission whose answer was lost. Where the provider does not list its batches, it is told and given up."""
        since = datetime.fromisoformat(batch.created_at).timestamp()
        try:
            for seconds in self._habits.find_after_seconds:
                await asyncio.sleep(seconds)
                found = await self._client.find(batch.id, file_id or str(batch.file_id), since)
                if found is not None:
                    return found
        except CannotList as error:
            lost = EndpointError(
                f"A batch of {batch.requests:,} requests was handed to {self._plan.base_url}, its answer was lost, and the batches there "
                f"cannot be listed ({error}): it may be at work or not, and count as paid.",
                hint="Look for it on the provider's own pages and cancel it there. Resuming the job sends these requests again.",
            )
            self._give_up_on(batch, lost.message)
            self._ending = self._ending or lost
        return None

    # Waiting

    async def _see_through(self) -> None:
        """Until every batch is over or someone asks to stop."""
        pause, failed, self._too_many = self._habits.first_pause_seconds, 0, None
        before = self._answers.brought
        while not self._context.stop_requested() and (away := self._away()):
            try:
                for batch in away:
                    if not self._context.stop_requested():
                        await self._step(batch)
                failed = 0
            except (EndpointUnreachable, RateLimited):  # an outage of an hour is nothing to a batch of a day
                failed += 1
                if failed >= self._habits.failed_looks or not any(b.state is BatchState.SUBMITTED for b in self._away()):
                    raise
            if self._tell_of_batches():
                await self._pause(pause)
                pause = min(pause * self._habits.growth, self._habits.longest_pause_seconds)
        if self._too_many is not None and self._answers.brought == before:
            self._ending = self._ending or self._too_many

    async def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._context.stop_requested():
            await asyncio.sleep(min(left, STOP_SECONDS))

    def _tell_of_batches(self) -> bool:
        away = self._away()
        if away:
            answered, total = sum(b.completed + b.failed for b in away), sum(b.requests for b in away)
            said = ", ".join(sorted({b.status or b.state.value for b in away})).replace("_", " ")
            note = f"{len(away)} batch{'es' if len(away) > 1 else ''} at the endpoint ({said}): {answered:,} of {total:,} answered"
            self._context.progress(self._ended, self._total, "requests", note)
        return bool(away)

    async def _look(self, batch: BatchRecord) -> BatchNews | None:
        try:
            news = await self._client.look(str(batch.provider_id))
        except Gone:
            self._is_gone(batch, "does not know it any more")
            return None
        if (news.status, news.completed, news.failed) != (batch.status, batch.completed, batch.failed):
            self._store.mark_seen(batch.id, news.status, completed=news.completed, failed=news.failed)
        if news.status != batch.status:
            self._context.emit("batch", id=news.provider_id, requests=batch.requests, status=news.status)
        return news

    # Collecting

    async def _collect(self, batch: BatchRecord, news: BatchNews) -> None:
        away = {record.key: record for record in self._ledger.in_batch(batch.id)}  # without what a killed run has collected
        path = self._context.folder / f"batch-{batch.id}-answers.jsonl"
        try:
            for file_id in (news.output_file_id, news.error_file_id):
                if file_id is not None:
                    await self._client.download(file_id, path)
                    self._answers.store_file(path, away)
        except Gone:
            self._is_gone(batch, "does not keep its answers any more")
            return
        finally:
            path.unlink(missing_ok=True)
        untouched = news.status == "failed" and news.output_file_id is None
        lacking = f"{len(away):,} of its {batch.requests:,} requests have no answer."
        note = f"{news.status}: {news.trouble or lacking}" if away else ""
        with self._ledger.together():
            if news.status == "completed":  # every line should be there
                self._answers.bring_back([(record, BatchAnswer(key, "")) for key, record in away.items()])
            else:
                self._store.send_back(list(away), as_if_never_sent=untouched)
            self._store.end(batch.id, BatchState.COLLECTED, note=note)
        for key in away:
            self._reserves.settle(key)
        if news.status != "completed" and away:
            self._ended_early(news, f"{batch.requests - len(away):,} of {batch.requests:,} requests were answered")

    def _ended_early(self, news: BatchNews, answered: str) -> None:
        url = self._plan.base_url
        if news.status == "expired":
            ended = EndpointError(f"A batch at {url} was not finished within 24 hours: {answered}.", hint=RESUME)
        elif news.status == "cancelled":
            ended = EndpointError(f"A batch at {url} was cancelled: {answered}.", hint=RESUME)
        else:
            why = news.trouble or "it does not say why"
            ended = EndpointRejected(f"{url} refused a batch as a whole: {why}", hint=f"Nothing of it was worked on or paid. {RESUME}")
        if news.trouble_codes and news.trouble_codes <= TOO_MANY_AT_ONCE:
            self._too_many = ended  # another round may have room
        else:
            self._ending = self._ending or ended

    def _is_gone(self, batch: BatchRecord, what: str) -> None:
        """The first run that finds it so leaves it as it is, for the key may be of another project; the next one gives it up."""
        if batch.status == GONE:
            self._give_up_on(batch, f"{self._plan.base_url} {what}; it may have been paid")
            return
        self._store.mark_seen(batch.id, GONE, completed=batch.completed, failed=batch.failed)
        since = (batch.submitted_at or batch.created_at)[:16].replace("T", " ")
        raise EndpointError(
            f"{self._plan.base_url} {what}: a batch of {batch.requests:,} requests, submitted {since} UTC. It may have been paid.",
            hint="If the key is of another project than then, set the former one. Resuming without it sends these requests again.",
        )

    def _give_up_on(self, batch: BatchRecord, note: str, *, as_if_never_sent: bool = False) -> None:
        """Nothing can be had from it: its requests are to be sent again. Unless nobody saw them, their worst case counts as paid."""
        paid = {r.key: Amount() if as_if_never_sent else self._reserves.of(r.key) for r in self._ledger.in_batch(batch.id)}
        with self._ledger.together():
            for key, worst in () if as_if_never_sent else paid.items():
                self._ledger.mark_maybe_paid(key, worst)
            self._store.send_back(list(paid), as_if_never_sent=as_if_never_sent)
            self._store.end(batch.id, BatchState.GIVEN_UP, note=note)
        for key, worst in paid.items():
            self._reserves.settle(key, worst)
