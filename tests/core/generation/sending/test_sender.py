"""Budgets, repeats and what is counted, over a scripted model and a server on this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.domain.chat import ChatReply
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import Budget, Price
from core.domain.request import RequestState, RequestTally
from core.errors import BudgetReached, EndpointRejected, EndpointUnreachable, NothingToDo
from core.generation.sending.purse import Purse
from core.llm.endpoint import EndpointModel, Habits
from core.llm.retry import RetryPolicy
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.generation.test_desk import GROUP, good
from tests.core.llm.loopback import Answer, completion, serving
from tests.core.llm.scripted import ScriptedModel, example_text, make_reply

CUT_OFF = '{"S1": "only the beg'
PRICE = Price(prompt=1.0, completion=1.0)  # a dollar a million tokens


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    return Bench(workbench, tmp_path)


def over_http(bench: Bench, answer, plan, *, job_id: str = "one", timeout_seconds: float = 30, **habits):
    """Run a plan against a server; its model opens inside the event loop of the desk."""
    with serving(answer) as server:
        plan = plan.model_copy(update={"base_url": server.url})
        policy = RetryPolicy(attempts=3, first_wait_seconds=0.01)
        bench.desk._open_model = lambda plan: EndpointModel(
            server.url, plan.model, timeout_seconds=timeout_seconds, habits=Habits(policy=policy, in_flight=plan.in_flight, **habits)
        )
        return bench.carry_out(plan, job_id), server


def test_a_cut_off_reply_is_repeated_once_with_twice_the_room_and_told_apart(bench: Bench):
    def answer(request, n: int):
        return make_reply(CUT_OFF, finish_reason="length") if n == 1 else example_text(GROUP, n)

    model = ScriptedModel(answer)
    plan = make_plan(4, in_flight=1, max_tokens=1000, price=PRICE)
    result = bench.generate(model, plan, job_id="one")
    assert [r.max_tokens for r in model.requests] == [1000] * 4 + [2000]
    assert (result["parsed"], result["failed"], result["sent"]) == (4, 0, 5)
    assert (result["cut_off_repeated"], result["cut_off_repeated_parsed"]) == (1, 1)
    assert result["cost"] == pytest.approx(5 * 150 / 1e6)  # both replies are paid
    record = bench.ledger.get(bench.events("one", "request")[-1]["key"])
    assert (record.first_reply["raw"], record.repeated_cap) == (CUT_OFF, 2000)
    assert bench.events("one", "progress")[-1]["done"] == 4


def test_a_reply_cut_off_twice_fails_as_length_and_is_not_repeated_again(bench: Bench):
    model = ScriptedModel(lambda request, n: make_reply(CUT_OFF, finish_reason="length"))
    plan = make_plan(2, max_tokens=1000)
    result = bench.generate(model, plan, job_id="one")
    assert (result["failures"], result["cut_off_repeated"], len(model.requests)) == ({"length": 2}, 2, 4)
    bench.generate(model, plan, job_id="one")
    assert len(model.requests) == 4
    assert bench.triples.count() == 0


def test_no_repeat_has_more_room_than_the_largest(bench: Bench):
    model = ScriptedModel(lambda request, n: make_reply(CUT_OFF, finish_reason="length"))
    bench.generate(model, make_plan(1, max_tokens=10_000))
    bench.generate(model, make_plan(1, max_tokens=16_384, seed=1))
    assert [r.max_tokens for r in model.requests] == [10_000, 16_384, 16_384]


def test_a_repeat_that_is_refused_leaves_the_first_reply(bench: Bench):
    def answer(request, n: int):
        if n == 0:
            return make_reply(CUT_OFF, finish_reason="length")
        raise EndpointRejected("max_tokens is too large", hint="ask for less")

    result = bench.generate(ScriptedModel(answer), make_plan(1, price=PRICE), job_id="one")
    assert (result["failures"], result["cost"]) == ({"length": 1}, pytest.approx(150 / 1e6))
    [failure] = bench.desk.failures("one")
    assert failure.raw == CUT_OFF


def test_a_repeat_cut_short_by_a_kill_is_sent_again_with_its_larger_cap(bench: Bench):
    def killed(request, n: int):
        if n == 1:
            raise KeyboardInterrupt
        return make_reply(CUT_OFF, finish_reason="length")

    plan = make_plan(1, max_tokens=1000)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        bench.generate(ScriptedModel(killed), plan, job_id="one")
    model = good()
    result = bench.generate(model, plan, job_id="one")
    assert ([r.max_tokens for r in model.requests], result["parsed"], result["sent"]) == ([2000], 1, 3)


def test_the_budget_of_tokens_is_never_passed(bench: Bench):
    plan = make_plan(50, max_tokens=100, budget=Budget(tokens=4000))
    model = ScriptedModel(lambda request, n: make_reply(example_text(GROUP, n), prompt_tokens=300, completion_tokens=100))
    with pytest.raises(BudgetReached, match="4,000 tokens"):
        bench.generate(model, plan, job_id="one")
    tally = bench.ledger.tally("one")
    assert 3000 <= tally.prompt_tokens + tally.completion_tokens <= 4000


def test_repeats_after_an_error_count_against_the_budget_of_requests(bench: Bench):
    def answer(body, n):
        return Answer(500, {"error": {"message": "oops"}}) if n % 2 == 0 else completion(example_text(GROUP, n))

    with pytest.raises(BudgetReached):
        over_http(bench, answer, make_plan(10, in_flight=1, budget=Budget(requests=5)))
    tally = bench.ledger.tally("one")
    assert (tally.attempts, tally.parsed, tally.reasons) == (5, 2, {"budget_reached": 1})


def test_a_timed_out_attempt_is_counted_as_sent_and_at_its_worst_price(bench: Bench):
    def answer(body, n):
        if n == 0:
            time.sleep(0.9)
        return completion(example_text(GROUP, n))

    plan = make_plan(2, in_flight=1, max_tokens=1000, price=PRICE)
    result, server = over_http(bench, answer, plan, timeout_seconds=0.4)
    assert (result["sent"], len(server.bodies), result["parsed"]) == (3, 3, 2)
    [first, *_] = (bench.ledger.get(event["key"]) for event in bench.events("one", "request"))
    worst = Purse(plan, RequestTally()).worst(first.request, 1000)
    assert result["maybe_tokens"] == worst.tokens > 1000
    assert result["maybe_cost"] == pytest.approx(worst.money)
    assert result["cost"] == pytest.approx(2 * 18 / 1e6)


def test_what_was_in_flight_at_a_kill_is_counted_at_its_worst_price(bench: Bench):
    plan = make_plan(2, in_flight=1, max_tokens=1000, price=PRICE)

    def killed(request, n: int) -> str:
        raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017, PT011
        bench.generate(ScriptedModel(killed), plan, job_id="one")
    assert bench.ledger.tally("one").by_state[RequestState.SENT] == 1
    result = bench.generate(good(), plan, job_id="one")
    assert (result["sent"], result["parsed"]) == (3, 2)
    assert result["maybe_tokens"] > 1000


def test_an_outage_does_not_use_up_the_repeat_of_a_cut_off_reply(bench: Bench):
    def answer(request, n: int) -> ChatReply | str:
        if n == 0:
            return make_reply(CUT_OFF, finish_reason="length")
        raise EndpointUnreachable("The endpoint is away.", hint="Try later.")

    plan = make_plan(1, in_flight=1, max_tokens=1000)
    assert bench.generate(ScriptedModel(answer), plan, job_id="one")["failures"] == {"length": 1}
    result = bench.generate(good(), plan, job_id="one")
    assert (result["parsed"], result["cut_off_repeated_parsed"]) == (1, 1)


def test_a_plan_that_another_job_carries_out_is_not_sent_a_second_time(bench: Bench):
    plan = make_plan(3, in_flight=1)
    other = bench.workbench.jobs
    running = Job("other", JobKind.GENERATE, "test", JobState.RUNNING, {}, "hash", bench.folder)
    planned = [request for request, _ in bench.desk.preview(plan, 3)]
    bench.ledger.plan(planned[:2], "other")
    bench.ledger.mark_sent(planned[0].key, "other")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(other, "active", lambda *kinds: [running] if JobKind.GENERATE in kinds else [])
        model = good()
        result = bench.generate(model, plan, job_id="one")
        assert (result["sent"], result["parsed"], len(model.requests)) == (1, 1, 1)
        assert bench.events("one", "planned")[0]["others"] == {"other": 2}
        with pytest.raises(NothingToDo, match="2 requests of this plan are being sent by other"):
            bench.generate(model, make_plan(2, in_flight=1), job_id="two")
    result = bench.generate(good(), make_plan(2, in_flight=2), job_id="three")  # the other one is over
    assert (result["sent"], result["parsed"]) == (3, 2)  # the one it had sent counts as an attempt
    assert result["maybe_tokens"] > 0


def test_an_answer_that_is_no_reply_is_kept_in_the_ledger(bench: Bench):
    def answer(body, n):
        return Answer(200, "<html>log in first</html>", {"content-type": "text/html"}) if n == 1 else completion(example_text(GROUP, n))

    result, _ = over_http(bench, answer, make_plan(3, in_flight=1))
    assert result["failures"] == {"not_the_protocol": 1}
    [failure] = bench.desk.failures("one")
    assert (failure.error_body, failure.raw) == ("<html>log in first</html>", None)


def test_what_was_found_out_about_an_endpoint_is_known_to_the_next_run(workbench: Workbench):
    def answer(body, n):
        if "response_format" in body:
            return Answer(422, {"detail": "Unexpected fields in the request: {'response_format'}"})
        return completion('{"word": "ready"}')

    with serving(answer) as server:
        endpoint = workbench.endpoints.save({"name": "mine", "base_url": server.url, "model": "m"})
        assert workbench.endpoints.known_capabilities(endpoint) is None
        assert workbench.endpoints.test(endpoint).json_mode == "prompt only"
        plan = make_plan(1, base_url=server.url, model="m")
        assert workbench._teachers.capabilities.find(plan.base_url, plan.model).json_mode.value == "prompt only"
    assert workbench.endpoints.known_capabilities(endpoint)["json_mode"] == "prompt only"
