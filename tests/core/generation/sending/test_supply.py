"""Many senders at an endpoint that fails, stops or is limited: what is claimed ahead holds nobody up and is not lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path

import pytest

from core.domain.chat import ChatReply, ChatRequest, Toll
from core.domain.plans import Budget
from core.domain.request import RequestState
from core.errors import BudgetReached, EndpointUnreachable
from core.generation.replies.reply_readers import Outcome, Prepared, TaskReader
from core.generation.sending.bookkeeper import Bookkeeper, Entry
from core.jobs.context import STOP_FILE
from core.storage.ledger import Leaving, Received
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.generation.test_desk import GROUP
from tests.core.llm.scripted import example_text, make_reply

LIMIT_SECONDS = 30  # a run that hangs must fail


class Endpoint:
    """Answers at once what is asked with a toll; `troubled` attempts of a request end first, maybe billed."""

    name, base_url = "scripted", "http://scripted/v1"

    def __init__(self, troubled: int = 0, *, flows: bool = True, stop_after: int | None = None, folder: Path | None = None) -> None:
        self.troubled, self.flows, self.stop_after, self.folder = troubled, flows, stop_after, folder
        self.sent = 0

    async def reply(self, request: ChatRequest) -> ChatReply:
        raise AssertionError("asked without a toll")

    async def reply_for(self, request: ChatRequest, toll: Toll) -> ChatReply:
        for _ in range(self.troubled):
            await toll.before()
            self.sent += 1
            await asyncio.sleep(0)
            await toll.failed(maybe_billed=True)
        await toll.before()
        self.sent += 1
        number = self.sent
        if self.stop_after == number and self.folder is not None:
            (self.folder / STOP_FILE).touch()
        await asyncio.sleep(0.001)
        return make_reply(example_text(GROUP, number), prompt_tokens=10, completion_tokens=10)


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    return Bench(workbench, tmp_path)


def generate(bench: Bench, model: Endpoint, count: int, *, in_flight: int, **fields) -> dict:
    plan = make_plan(count, in_flight=in_flight, **fields)
    send = bench.desk._send

    async def in_time(*arguments) -> None:
        await asyncio.wait_for(send(*arguments), LIMIT_SECONDS)

    bench.desk._send = in_time
    try:
        return bench.generate(model, plan, job_id="one")
    finally:
        bench.desk._send = send


@pytest.mark.parametrize(("in_flight", "budget"), [(16, 100), (64, 100), (200, 150)])
def test_a_budget_of_requests_is_used_to_the_last_one(bench: Bench, in_flight: int, budget: int):
    model = Endpoint()
    with pytest.raises(BudgetReached):
        generate(bench, model, 200, in_flight=in_flight, budget=Budget(requests=budget))
    tally = bench.ledger.tally("one")
    assert (model.sent, tally.attempts, tally.parsed) == (budget, budget, budget)
    assert tally.by_state[RequestState.PLANNED] + tally.by_state.get(RequestState.FAILED, 0) == 200 - budget


@pytest.mark.parametrize("room", [24, 30, 100])
def test_a_budget_of_tokens_ends_a_run_whose_attempts_are_maybe_billed(bench: Bench, room: int):
    plan = make_plan(1, max_tokens=100)
    [(request, _)] = bench.desk.preview(plan, 1)
    worst = 100 + len(request.messages[0]["content"])  # more than one attempt reserves
    with pytest.raises((BudgetReached, EndpointUnreachable)):
        generate(bench, Endpoint(troubled=4), 120, in_flight=16, max_tokens=100, budget=Budget(tokens=room * worst))
    assert bench.ledger.tally("one").by_state.get(RequestState.SENT, 0) == 0


@pytest.mark.parametrize("flows", [True, False])
def test_a_stop_leaves_nothing_that_looks_sent(bench: Bench, flows: bool, tmp_path: Path):
    folder = tmp_path / "one"
    folder.mkdir()
    model = Endpoint(flows=flows, stop_after=40, folder=folder)
    result = generate(bench, model, 300, in_flight=32)
    tally = bench.ledger.tally("one")
    assert (result["sent"], tally.parsed) == (model.sent, model.sent)
    assert 40 <= model.sent <= 40 + 32  # those in flight, and none of those that waited
    assert tally.by_state == {RequestState.PARSED: model.sent, RequestState.PLANNED: 300 - model.sent}
    assert tally.maybe.tokens == 0


def test_a_read_that_fails_does_not_take_replies_with_it_that_came_meanwhile(bench: Bench):
    planned = [request for request, _ in bench.desk.preview(make_plan(2), 2)]
    bench.ledger.plan(planned, "one")
    bench.ledger.mark_all_sent([Leaving(request.key) for request in planned], "one")
    first, second = bench.ledger.to_send("one")

    def fails() -> list[Outcome]:
        raise RuntimeError("a defect")

    async def run() -> None:
        books = Bookkeeper(bench.ledger, TaskReader(bench.tasks), "one", lambda *_: None)
        ready: Future[None] = Future()
        ready.set_result(None)
        books._in_check.append(([(first, Received(first.key, make_reply("read before"), None))], Prepared(ready, fails)))
        with pytest.raises(RuntimeError, match="a defect"):
            books._commit([Entry(Received(second.key, make_reply("came now"), None), second)])

    asyncio.run(run())
    assert bench.ledger.get(second.key).state is RequestState.RECEIVED
