"""Send planned requests: so many at once, within the budget, every reply stored before it is read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

from core.domain.chat import ChatModel, ChatReply, ChatRequest
from core.domain.plans import Budget, EndpointPlan
from core.domain.request import PlannedRequest, RequestRecord, RequestTally
from core.errors import BudgetReached, EndpointError, EndpointRejected, EndpointUnreachable, RateLimited, WorkbenchError
from core.generation.reply_readers import Outcome
from core.jobs.context import JobContext
from core.llm.pricing import price
from core.storage.ledger import Ledger

CHARACTERS_A_TOKEN = 4.0  # of English; for estimates
FEWEST_CHARACTERS_A_TOKEN = 2.0  # for the reserve, which must not be too small
REFUSALS_BEFORE_ANY_REPLY = 3  # the endpoint is down or the key is wrong: more attempts only cost time
REFUSALS_IN_A_ROW = 12  # after it has worked: an outage; stop and let a person resume
PROGRESS_SECONDS = 0.3


class Reader(Protocol):
    """Makes something of a reply."""

    def read(self, record: RequestRecord, reply: ChatReply) -> Outcome:
        """Store what the reply holds, or say why nothing could be used."""
        ...


class Purse:
    """The budget of one job, checked before each request leaves. Money is reserved at the worst case while a reply is awaited."""

    def __init__(self, budget: Budget, spent: RequestTally) -> None:
        self._budget = budget
        self._sent = spent.attempts
        self._money = spent.known_cost
        self._reserved = 0.0

    def take(self, request: PlannedRequest) -> float:
        """Reserve the price of one request and return it.

        Raises:
            BudgetReached: it may not be sent.
        """
        if self._budget.requests is not None and self._sent >= self._budget.requests:
            raise BudgetReached(
                f"The budget of {self._budget.requests} requests is used up.",
                hint="All replies are kept. Start the same plan with a larger budget: only what is missing is sent.",
            )
        worst = 0.0
        if self._budget.money is not None:
            prompt_tokens = round(sum(len(m["content"]) for m in request.messages) / FEWEST_CHARACTERS_A_TOKEN)
            worst = price(request.base_url, request.model, prompt_tokens, int(request.parameters["max_tokens"])) or 0.0
            if self._money + self._reserved + worst > self._budget.money:
                raise BudgetReached(
                    f"The next request could pass the budget of ${self._budget.money:.4f}: ${self._money:.4f} is spent.",
                    hint="All replies are kept. Start the same plan with a larger budget: only what is missing is sent.",
                )
        self._sent += 1
        self._reserved += worst
        return worst

    def settle(self, reserved: float, cost: float | None) -> None:
        """Replace a reserve by what was paid."""
        self._reserved -= reserved
        self._money += cost or 0.0


class Sender:
    """One run over one job's requests."""

    def __init__(self, ledger: Ledger, reader: Reader, plan: EndpointPlan, context: JobContext) -> None:
        self._ledger = ledger
        self._reader = reader
        self._plan = plan
        self._context = context
        tally = ledger.tally(context.job.id)
        self._purse = Purse(plan.budget, tally)
        self._total, self._ended = tally.total, tally.ended
        self._failed = tally.failed
        self._cost = tally.known_cost
        self._refused_in_a_row = 0
        self._answered = tally.parsed > 0
        self._ending: WorkbenchError | None = None
        self._told_at = 0.0

    def read_stored(self) -> None:
        """Read replies that an earlier run stored and did not come to read; costs nothing."""
        for record in self._ledger.to_read(self._context.job.id):
            reply = ChatReply(
                text=record.reply_text or "",
                finish_reason=record.finish_reason or "stop",
                prompt_tokens=record.prompt_tokens,
                completion_tokens=record.completion_tokens,
                seconds=record.seconds or 0.0,
                model=record.request.model,
                raw=record.raw or "",
            )
            self._use(record, reply, record.cost)

    async def send(self, model: ChatModel, records: Iterable[RequestRecord]) -> None:
        """Send until all are answered, someone asks to stop, or nothing more can be sent.

        Raises:
            EndpointError: the endpoint refuses everything; what was answered is kept.
            BudgetReached: the rest may not be sent; what was answered is kept.
        """
        waiting = iter(list(records))
        self._ended -= sum(record.reason != "" for record in records)
        workers = self._plan.in_flight
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(model, waiting))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from several  # the full disk, the missing model: by its own name
        self._tell(now=True)
        if self._ending is not None:
            raise self._ending

    async def _work(self, model: ChatModel, waiting: Iterable[RequestRecord]) -> None:
        for record in waiting:
            if self._ending is not None or self._context.stop_requested():
                return
            try:
                reserved = self._purse.take(record.request)
            except BudgetReached as reached:
                self._ending = reached
                return
            await self._send_one(model, record, reserved)

    async def _send_one(self, model: ChatModel, record: RequestRecord, reserved: float) -> None:
        if not self._ledger.mark_sent(record.key, self._context.job.id):
            self._purse.settle(reserved, None)
            return
        try:
            reply = await model.reply(_chat_request(record.request))
        except EndpointError as error:
            self._purse.settle(reserved, None)
            self._ledger.mark_failed(record.key, error.code)
            self._refused(record, error)
            return
        cost = price(record.request.base_url, record.request.model, reply.prompt_tokens, reply.completion_tokens)
        self._purse.settle(reserved, reserved if cost is None else cost)  # no count of tokens: the worst is assumed
        self._ledger.mark_received(record.key, reply, cost)
        self._refused_in_a_row, self._answered = 0, True
        self._use(record, reply, cost)

    def _use(self, record: RequestRecord, reply: ChatReply, cost: float | None) -> None:
        outcome = self._reader.read(record, reply)
        if outcome.reason:
            self._ledger.mark_failed(record.key, outcome.reason)
        else:
            self._ledger.mark_parsed(record.key)
        self._cost += cost or 0.0
        self._over(record, outcome, seconds=reply.seconds, cost=cost, tokens=reply.completion_tokens)

    def _refused(self, record: RequestRecord, error: EndpointError) -> None:
        self._over(record, Outcome(error.code, error.message))
        if not isinstance(error, EndpointUnreachable | EndpointRejected | RateLimited):
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= (REFUSALS_IN_A_ROW if self._answered else REFUSALS_BEFORE_ANY_REPLY):
            self._ending = self._ending or error

    def _over(self, record: RequestRecord, outcome: Outcome, **facts: object) -> None:
        self._ended += 1
        self._failed += bool(outcome.reason)
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
        self._tell()

    def _tell(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._told_at = time.monotonic()
            note = f"{self._failed} failed, ${self._cost:.4f}" if self._cost else f"{self._failed} failed"
            self._context.progress(self._ended, self._total, "requests", note)


def _chat_request(request: PlannedRequest) -> ChatRequest:
    parameters = request.parameters
    return ChatRequest(
        messages=request.messages,
        schema=request.schema,
        temperature=float(parameters["temperature"]),
        top_p=float(parameters["top_p"]),
        max_tokens=int(parameters["max_tokens"]),
        seed=parameters.get("seed"),
    )
