from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.domain.request import Amount, PlannedRequest, RequestState
from core.errors import NotFound
from core.storage.ledger import Leaving, Ledger, Received
from core.workbench import Workbench
from tests.core.llm.scripted import make_reply

GROUP = TaskGroup.STS


def request(number: int = 0, **fields) -> PlannedRequest:
    values = {
        "step": PromptStep.EXAMPLE, "group": GROUP, "base_url": "http://a/v1", "model": "m",
        "messages": ({"role": "user", "content": f"prompt {number}"},), "parameters": {"temperature": 1.0, "seed": 1},
        "schema": {"type": "object"}, "slots": {"unit": "phrase"}, "language": "French",
    }  # fmt: skip
    return PlannedRequest(**(values | fields))


@pytest.fixture
def ledger(workbench: Workbench) -> Ledger:
    return Ledger(workbench.database)


def test_the_key_covers_everything_that_can_change_the_reply_and_nothing_else():
    base = request()
    assert base.key == request().key
    for fields in (
        {"base_url": "http://b/v1"}, {"model": "n"}, {"messages": ({"role": "user", "content": "x"},)},
        {"parameters": {"temperature": 0.5}}, {"schema": None}, {"replicate": 1},
    ):  # fmt: skip
        assert replace(base, **fields).key != base.key
    for fields in ({"slots": {}}, {"language": "Thai"}, {"task_id": "t"}, {"prompt_version_id": "v"}):
        assert replace(base, **fields).key == base.key


def test_a_request_comes_back_as_it_was_planned(ledger: Ledger):
    planned = request(target_language="Thai", task_id="t")
    assert ledger.plan([planned, planned], "one") == 1
    [record] = ledger.to_send("one")
    assert (record.request, record.state, record.key) == (planned, RequestState.PLANNED, planned.key)
    with pytest.raises(NotFound):
        ledger.get("no-such-key")


def test_an_answered_request_stays_with_its_job_and_a_missing_one_moves(ledger: Ledger):
    first, second, third = (request(n) for n in range(3))
    ledger.plan([first, second], "one")
    ledger.mark_sent(first.key, "one")
    ledger.mark_received(first.key, make_reply("text", raw="raw body", request_id="r-1"), 0.5)
    ledger.mark_parsed(first.key)
    assert ledger.plan([first, second, third], "two") == 2
    assert ledger.get(first.key).job_id == "one"
    assert {r.key for r in ledger.to_send("two")} == {second.key, third.key}
    assert ledger.to_send("one") == []
    assert ledger.answered([first.key, second.key, third.key]) == 1


def test_what_was_sent_moves_as_sent_and_what_is_with_a_busy_job_stays(ledger: Ledger):
    first, second = request(0), request(1)
    ledger.plan([first, second], "one")
    ledger.mark_sent(first.key, "one")
    assert ledger.with_others([first.key, second.key], ["one", "none"]) == {"one": 2}
    assert ledger.plan([first, second], "two", busy=["one"]) == 0
    assert ledger.to_send("two") == []
    assert ledger.plan([first, second], "two") == 2
    states = {record.key: record.state for record in ledger.to_send("two")}
    assert states == {first.key: RequestState.SENT, second.key: RequestState.PLANNED}


def test_a_job_that_lost_a_request_does_not_call_it_failed(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.plan([planned], "two")
    ledger.mark_failed(planned.key, "endpoint_unreachable", job_id="one")
    assert ledger.get(planned.key).state is RequestState.SENT
    ledger.mark_failed(planned.key, "endpoint_unreachable", job_id="two")
    assert ledger.get(planned.key).state is RequestState.FAILED


def test_a_repeat_whose_reply_tells_no_usage_keeps_what_the_first_cost(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.mark_received(planned.key, make_reply("cut o", finish_reason="length"), 0.5)
    ledger.mark_failed(planned.key, "length")
    first = ledger.get(planned.key)
    ledger.mark_all_sent([Leaving(planned.key, 2000)], "one")
    ledger.mark_all_received([Received(planned.key, make_reply("whole", prompt_tokens=None), None, first, Amount(90, 0.2))])
    tally = ledger.tally("one")
    assert (tally.known_cost, tally.maybe) == (0.5, Amount(90, 0.2))


def test_a_reply_is_kept_whole(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.mark_received(planned.key, make_reply("text", raw="raw body", request_id="r-1", seconds=2.5), 0.5)
    record = ledger.get(planned.key)
    assert (record.raw, record.reply_text, record.provider_request_id, record.cost, record.attempts) == ("raw body", "text", "r-1", 0.5, 1)
    assert ledger.to_read("one") == [record]
    assert ledger.typical("http://a/v1", "m", GROUP, PromptStep.EXAMPLE) == (1, 50.0, 2.5)


def test_a_failure_without_a_reply_is_sent_again_and_a_paid_one_is_not(ledger: Ledger):
    lost, unreadable = request(0), request(1)
    ledger.plan([lost, unreadable], "one")
    ledger.mark_sent(lost.key, "one")
    ledger.mark_failed(lost.key, "endpoint_unreachable")
    ledger.mark_sent(unreadable.key, "one")
    ledger.mark_received(unreadable.key, make_reply("?"), None)
    ledger.mark_failed(unreadable.key, "not_json")
    assert [r.key for r in ledger.to_send("one")] == [lost.key]
    assert {r.reason for r in ledger.failures("one")} == {"endpoint_unreachable", "not_json"}
    assert len(ledger.failures("one", limit=1)) == 1


def test_a_tally_adds_up_and_one_unknown_price_makes_the_cost_unknown(ledger: Ledger):
    planned = [request(n) for n in range(4)]
    ledger.plan(planned, "one")
    for number, cost in ((0, 0.25), (1, 0.5)):
        ledger.mark_sent(planned[number].key, "one")
        ledger.mark_received(planned[number].key, make_reply("text"), cost)
    ledger.mark_parsed(planned[0].key)
    tally = ledger.tally("one")
    assert (tally.total, tally.parsed, tally.failed, tally.received, tally.attempts) == (4, 1, 0, 2, 2)
    assert (tally.cost, tally.prompt_tokens, tally.completion_tokens) == (0.75, 200, 100)
    ledger.mark_sent(planned[2].key, "one")
    ledger.mark_received(planned[2].key, make_reply("text"), None)
    assert (ledger.tally("one").cost, ledger.tally("one").known_cost) == (None, 0.75)
    assert ledger.tally("no such job").total == 0


def test_thousands_of_requests_are_planned_at_once(ledger: Ledger):
    planned = [request(n) for n in range(1200)]
    assert ledger.plan(planned, "one") == 1200
    assert ledger.plan(planned, "one") == 1200  # none was answered: all are still to be sent
    assert len(ledger.to_send("one")) == 1200


def test_a_request_another_job_took_over_is_not_sent_by_the_first(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.plan([planned], "two")
    assert not ledger.mark_sent(planned.key, "one")
    assert ledger.mark_sent(planned.key, "two")


def test_many_leave_and_come_in_one_transaction_and_only_ones_own_are_claimed(ledger: Ledger):
    planned = [request(n) for n in range(3)]
    ledger.plan(planned, "one")
    ledger.plan(planned[:1], "two")
    assert ledger.mark_all_sent([Leaving(p.key) for p in planned], "one") == {planned[1].key, planned[2].key}
    ledger.mark_all_received([Received(p.key, make_reply("text", raw=f"raw {n}"), 0.5) for n, p in enumerate(planned[1:])])
    ledger.mark_all_read([(planned[1].key, ""), (planned[2].key, "not_json")])
    assert {r.raw for r in (ledger.get(p.key) for p in planned)} == {None, "raw 0", "raw 1"}
    assert (ledger.tally("one").parsed, ledger.tally("one").reasons) == (1, {"not_json": 1})


def test_a_cut_off_reply_is_repeated_once_and_the_first_one_is_kept_and_paid(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.mark_received(planned.key, make_reply("half", finish_reason="length", raw="first raw"), 0.5)
    ledger.mark_failed(planned.key, "length")
    [first] = ledger.truncated("one")
    assert ledger.to_send("one") == []
    assert ledger.mark_all_sent([Leaving(planned.key, cap=4096)], "one") == {planned.key}
    assert (ledger.truncated("one"), ledger.get(planned.key).raw) == ([], "first raw")
    ledger.mark_all_received([Received(planned.key, make_reply("whole", raw="second raw"), 0.25, first=first)])
    record = ledger.get(planned.key)
    assert (record.raw, record.first_reply["raw"], record.first_reply["finish_reason"]) == ("second raw", "first raw", "length")
    assert (record.cost, record.prompt_tokens, record.completion_tokens, record.attempts) == (0.75, 200, 100, 2)
    ledger.mark_parsed(planned.key)
    tally = ledger.tally("one")
    assert (tally.repeated, tally.repeated_parsed, tally.cost) == (1, 1, 0.75)


def test_what_was_maybe_billed_adds_up(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.mark_maybe_paid(planned.key, Amount(100, 0.5))
    ledger.mark_maybe_paid(planned.key, Amount(50, 0.25), state=RequestState.PLANNED)
    assert ledger.tally("one").maybe == Amount(150, 0.75)
    assert ledger.get(planned.key).state is RequestState.PLANNED


def test_an_answer_that_is_no_reply_is_kept_and_the_request_is_still_missing(ledger: Ledger):
    planned = request()
    ledger.plan([planned], "one")
    ledger.mark_sent(planned.key, "one")
    ledger.mark_failed(planned.key, "not_the_protocol", error_body="<html>")
    [record] = ledger.to_send("one")
    assert (record.error_body, record.raw) == ("<html>", None)
    ledger.mark_failed(planned.key, "not_the_protocol", error_body="x" * 250_000)
    kept = ledger.get(planned.key).error_body
    assert (kept[:100_000], kept[100_000:]) == ("x" * 100_000, "\n… cut here: 250,000 characters came")


def test_a_block_is_written_together_or_not_at_all(ledger: Ledger):
    planned = [request(n) for n in range(2)]
    with pytest.raises(ZeroDivisionError), ledger.together():
        ledger.plan(planned[:1], "one")
        assert ledger.is_planned("one")  # readings inside see what was written
        raise ZeroDivisionError
    assert not ledger.is_planned("one")
    with ledger.together():
        ledger.plan(planned, "one")
    assert len(ledger.to_send("one")) == 2
