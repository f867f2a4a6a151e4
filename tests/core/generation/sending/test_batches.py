"""Batches over a provider that loses answers, ends early and kills; the recorded teacher and real kills are in test_batch_jobs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from core.domain.batch import BatchState
from core.domain.plans import Budget, GenerationPlan, Price
from core.domain.request import Amount, RequestState
from core.errors import BadPlan, BudgetReached, EndpointError, EndpointRejected, EndpointUnreachable, NothingToDo
from core.generation.desk import GenerationDesk
from core.generation.sending.batch_desk import BatchDesk
from core.generation.sending.batches import BatchHabits
from core.jobs.context import STOP_FILE
from core.storage.batches import BatchStore
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.generation.sending.provider import Killed, Provider, error_line, reply_line
from tests.core.llm.scripted import ScriptedModel, example_text

AT_ONCE = {"first_pause_seconds": 0.0, "find_after_seconds": (0.0, 0.0)}
OWN = Price(prompt=10.0, completion=20.0)  # a reply of 100 + 50 tokens: $0.002, by batch $0.001


class BatchBench(Bench):
    """A desk whose batches go to a scripted provider; asking the model directly would fail the test."""

    def __init__(self, workbench: Workbench, folder: Path) -> None:
        super().__init__(workbench, folder)
        self.provider = Provider()
        self.store = BatchStore(workbench.database)
        self.work(BatchHabits(**AT_ONCE))

    def work(self, habits: BatchHabits) -> None:
        batches = BatchDesk(self.store, lambda plan: self.provider.client(), habits)
        stores = self.ledger, self.tasks, self.triples, self.workbench.prompts
        self.desk = GenerationDesk(self.workbench.jobs, *stores, open_model=lambda plan: self.model, batches=batches)

    def run(self, plan: GenerationPlan, job_id: str = "one") -> dict:
        def refuse(request, n):
            raise AssertionError("nothing may be sent directly")

        return self.generate(ScriptedModel(refuse), plan, job_id=job_id)


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> BatchBench:
    return BatchBench(workbench, tmp_path)


def plan_of(count: int = 6, **fields) -> GenerationPlan:
    return make_plan(count, batch=True, price=OWN, **fields)


def test_all_requests_go_out_in_one_file_and_cost_half(bench: BatchBench):
    result = bench.run(plan_of(6))
    assert (result["planned"], result["sent"], result["received"], result["parsed"], result["added"]) == (6, 6, 6, 6, 6)
    assert result["cost"] == pytest.approx(6 * 0.001)
    assert bench.triples.count() == 6
    [batch] = bench.store.of_job("one")
    assert (batch.state, batch.status, batch.requests, batch.completed) == (BatchState.COLLECTED, "completed", 6, 6)
    record = bench.ledger.get(bench.triples.find()[0].triple.request_key)
    assert '"custom_id"' in record.raw
    assert [path.name for path in (bench.folder / "one").glob("batch-*")] == []


def test_files_are_split_by_requests_and_by_bytes(bench: BatchBench):
    bench.work(BatchHabits(**AT_ONCE, most_requests=4))
    bench.run(plan_of(10))
    assert [len(lines) for lines in bench.provider.files.values()] == [4, 4, 2]
    bench.work(BatchHabits(**AT_ONCE, most_bytes=1))
    bench.run(plan_of(3, seed=1), "two")
    assert [len(lines) for lines in bench.provider.files.values()][3:] == [1, 1, 1]
    assert (bench.triples.count(), set(Counter(bench.provider.keys_submitted()).values())) == (13, {1})


@pytest.mark.parametrize(
    "point",
    [
        "before upload", "after upload", "before submit", "after submit", "before look", "before download", "after download", "line 3",
    ],
)  # fmt: skip
def test_a_kill_at_any_point_submits_nothing_twice_and_loses_nothing(bench: BatchBench, point: str):
    bench.provider.kill_at = point
    with pytest.raises(Killed):
        bench.run(plan_of(6))
    assert bench.ledger.tally("one").by_state == {RequestState.SENT: 6}
    result = bench.run(plan_of(6))
    assert (result["sent"], result["received"], result["parsed"], result["maybe_cost"]) == (6, 6, 6, 0)
    assert Counter(bench.provider.keys_submitted()) == dict.fromkeys(bench.provider.keys_submitted(), 1)
    assert len(bench.provider.batches) == 1


def test_a_kill_between_two_commits_of_answers_keeps_the_first(bench: BatchBench):
    bench.provider.kill_at = "line 260"
    with pytest.raises(Killed):
        bench.run(plan_of(300))
    assert bench.ledger.tally("one").by_state == {RequestState.PARSED: 256, RequestState.SENT: 44}
    result = bench.run(plan_of(300))
    assert (result["parsed"], result["added"], bench.triples.count()) == (300, 300, 300)
    assert result["cost"] == pytest.approx(300 * 0.001)


def test_a_submission_whose_answer_is_lost_is_found_in_the_list(bench: BatchBench):
    bench.provider.lose_answers_of = "submit"
    assert bench.run(plan_of(3))["parsed"] == 3
    assert len(bench.provider.batches) == 1


def test_a_submission_that_never_arrived_is_made_again(bench: BatchBench):
    bench.provider.lose_answers_of = "submit first"
    assert bench.run(plan_of(3))["parsed"] == 3
    assert (len(bench.provider.batches), len(bench.provider.files)) == (1, 1)


def test_where_batches_cannot_be_listed_the_doubt_is_told_and_counted(bench: BatchBench):
    bench.provider.lose_answers_of, bench.provider.lists = "submit", False
    with pytest.raises(EndpointError, match="may be at work or not") as caught:
        bench.run(plan_of(3))
    assert "cancel it there" in caught.value.hint
    tally = bench.ledger.tally("one")
    assert tally.by_state == {RequestState.PLANNED: 3}
    assert tally.maybe.money > 3 * 2048 * 10e-6  # the worst case at half price: all reply tokens used, and the prompt
    assert bench.store.of_job("one")[0].state is BatchState.GIVEN_UP
    bench.provider.lose_answers_of = ""
    assert bench.run(plan_of(3))["parsed"] == 3


def test_a_stop_leaves_the_batch_and_resume_collects_it(bench: BatchBench):
    bench.provider.looks_until_over = 3
    bench.provider.on_look = lambda: (bench.folder / "one" / STOP_FILE).write_text("")
    assert bench.run(plan_of(4))["received"] == 0
    assert bench.ledger.tally("one").by_state == {RequestState.SENT: 4}
    bench.provider.on_look = lambda: None
    assert bench.run(plan_of(4))["parsed"] == 4
    assert (len(bench.provider.batches), bench.provider.cancelled) == (1, [])


def test_what_is_away_in_a_batch_is_not_sent_by_another_job(bench: BatchBench):
    bench.provider.looks_until_over = 99
    bench.provider.on_look = lambda: (bench.folder / "one" / STOP_FILE).write_text("")
    bench.run(plan_of(4))
    with pytest.raises(NothingToDo, match="paid twice") as caught:
        bench.run(make_plan(4), "two")
    assert "jobs resume one" in caught.value.hint
    bench.provider.on_look, bench.provider.looks_until_over = lambda: None, 1
    more = bench.run(plan_of(6), "three")
    assert (more["planned"], more["answered_before"], more["sent"], more["parsed"]) == (6, 0, 2, 2)
    assert bench.run(plan_of(4))["parsed"] == 4
    assert set(Counter(bench.provider.keys_submitted()).values()) == {1}


@pytest.mark.parametrize(("status", "words"), [("expired", "24 hours: 4 of 6"), ("cancelled", "cancelled: 4 of 6")])
def test_of_a_batch_that_ends_early_the_answers_are_kept_and_the_rest_goes_out_again(bench: BatchBench, status: str, words: str):
    bench.provider.status = status
    bench.provider.answer = lambda line, n: reply_line(line["custom_id"], example_text("sts", n)) if n not in (1, 4) else None
    with pytest.raises(EndpointError, match=words) as caught:
        bench.run(plan_of(6))
    assert "Resume the job" in caught.value.hint
    tally = bench.ledger.tally("one")
    assert (tally.by_state, tally.maybe) == ({RequestState.PARSED: 4, RequestState.PLANNED: 2}, Amount())
    bench.provider.status = "completed"
    result = bench.run(plan_of(6))
    assert (result["parsed"], result["sent"], [len(lines) for lines in bench.provider.files.values()]) == (6, 8, [6, 2])


def test_a_batch_that_is_refused_as_a_whole_costs_no_attempt(bench: BatchBench):
    bench.provider.status = "failed"
    with pytest.raises(EndpointRejected, match="the file is wrong") as caught:
        bench.run(plan_of(6, budget=Budget(requests=6)))
    assert "paid" in caught.value.hint
    assert bench.ledger.tally("one").by_state == {RequestState.PLANNED: 6}
    bench.provider.status = "completed"
    assert bench.run(plan_of(6, budget=Budget(requests=6)))["sent"] == 6


def test_a_full_queue_at_the_provider_is_waited_for_while_others_are_answered(bench: BatchBench):
    bench.work(BatchHabits(**AT_ONCE, most_requests=4))
    full = frozenset(("token_limit_exceeded",))

    def first_only() -> None:  # the second batch of the first round finds no room
        second = len(bench.provider.looked) == 1
        bench.provider.status, bench.provider.trouble_codes = ("failed", full) if second else ("completed", frozenset())

    bench.provider.on_look = first_only
    assert bench.run(plan_of(8))["parsed"] == 8
    assert len(bench.provider.batches) == 3
    bench.provider.on_look, bench.provider.status, bench.provider.trouble_codes = lambda: None, "failed", full
    with pytest.raises(EndpointRejected):  # with nothing else under way, waiting would never end
        bench.run(plan_of(4, seed=1), "two")


def test_errors_of_single_requests_pass_or_fail_by_their_kind(bench: BatchBench):
    def answer(line, n):
        if n == 0:
            return error_line(line["custom_id"], 500)
        return error_line(line["custom_id"], 400) if n == 1 else reply_line(line["custom_id"], example_text("sts", n))

    bench.provider.answer = answer
    result = bench.run(plan_of(5))
    assert (result["parsed"], result["failures"], result["sent"]) == (4, {"endpoint_rejected": 1}, 6)
    [failed] = bench.desk.failures("one")
    assert '"status_code": 400' in failed.error_body


def test_a_request_that_always_fails_is_given_up_after_three_batches(bench: BatchBench):
    bench.provider.answer = lambda line, n: error_line(line["custom_id"], 500)
    result = bench.run(plan_of(2))
    assert (result["failures"], result["sent"], len(bench.provider.batches)) == ({"endpoint_unreachable": 2}, 6, 3)


def test_a_reply_that_was_cut_off_is_repeated_in_a_second_batch_with_twice_the_room(bench: BatchBench):
    def answer(line, n):
        short = line["body"]["max_tokens"] == 2048
        return reply_line(line["custom_id"], '{"S1": "a' if short else example_text("sts", n), finish_reason="length" if short else "stop")

    bench.provider.answer = answer
    result = bench.run(plan_of(2))
    assert (result["cut_off_repeated"], result["cut_off_repeated_parsed"], result["parsed"]) == (2, 2, 2)
    assert result["cost"] == pytest.approx(4 * 0.001)
    assert [line["body"]["max_tokens"] for lines in bench.provider.files.values() for line in lines] == [2048, 2048, 4096, 4096]


@pytest.mark.parametrize(("forgotten", "words"), [("batches", "does not know it"), ("outputs", "does not keep its answers")])
@pytest.mark.parametrize("remembered", [True, False])
def test_a_forgotten_batch_is_told_first_and_paid_again_only_by_who_resumes(
    bench: BatchBench, forgotten: str, words: str, remembered: bool
):  # fmt: skip
    bench.provider.kill_at = "before download"
    with pytest.raises(Killed):
        bench.run(plan_of(2))
    kept = dict(getattr(bench.provider, forgotten))
    getattr(bench.provider, forgotten).clear()
    with pytest.raises(EndpointError, match=words) as caught:
        bench.run(plan_of(2))
    assert "former one" in caught.value.hint
    assert bench.ledger.tally("one").by_state == {RequestState.SENT: 2}
    if remembered:  # the key was of another project
        getattr(bench.provider, forgotten).update(kept)
    result = bench.run(plan_of(2))
    assert (result["parsed"], result["sent"], result["maybe_tokens"] > 2 * 2048) == ((2, 2, False) if remembered else (2, 4, True))


def test_the_budget_of_money_is_checked_at_half_the_worst_case(bench: BatchBench):
    # 1,000 reply tokens at $20 a million by half: $0.010 each, and under $0.005 for the prompt
    plan = plan_of(10, max_tokens=1000, budget=Budget(money=0.045))
    with pytest.raises(BudgetReached, match=r"\$0.0450"):
        bench.provider.answer = lambda line, n: reply_line(line["custom_id"], example_text("sts", n)).replace(
            '"completion_tokens": 50', '"completion_tokens": 1000'
        )
        bench.run(plan)
    first, *_ = bench.provider.files.values()
    assert 2 < len(first) < 5  # at the full price two would have fitted
    assert bench.ledger.tally("one").cost <= 0.045


def test_cheap_answers_make_room_for_the_rest_of_the_budget(bench: BatchBench):
    result = bench.run(plan_of(10, max_tokens=1000, budget=Budget(money=0.045)))
    assert (result["parsed"], len(bench.provider.batches) > 1) == (10, True)


def test_a_budget_of_requests_is_kept_exactly(bench: BatchBench):
    with pytest.raises(BudgetReached, match="4 requests"):
        bench.run(plan_of(10, budget=Budget(requests=4)))
    assert (len(bench.provider.keys_submitted()), bench.triples.count()) == (4, 4)


def test_an_outage_while_waiting_ends_the_job_and_not_the_batch(bench: BatchBench):
    def down() -> None:
        raise EndpointUnreachable("down", hint="wait")

    bench.work(BatchHabits(**AT_ONCE, failed_looks=3))
    bench.provider.on_look = down
    with pytest.raises(EndpointUnreachable):
        bench.run(plan_of(2))
    assert bench.store.of_job("one")[0].state is BatchState.SUBMITTED
    bench.provider.on_look = lambda: None
    assert bench.run(plan_of(2))["parsed"] == 2


def test_the_embedded_teacher_has_no_batches(bench: BatchBench):
    with pytest.raises(BadPlan, match="has no batches"):
        bench.desk.start_generation(GenerationPlan(counts={"sts": 1}, batch=True))


def test_an_estimate_is_half_the_price_and_a_day(bench: BatchBench):
    direct, batch = bench.desk.estimate(make_plan(4, price=OWN)), bench.desk.estimate(plan_of(4))
    assert batch.cost == pytest.approx(direct.cost / 2)
    assert (batch.seconds, "half the price" in batch.basis) == (24 * 3600, True)
    assert bench.desk.estimate(plan_of(20_000)).seconds == 24 * 3600


def test_reads_and_unread_replies_are_told_once(bench: BatchBench):
    bench.run(plan_of(3))
    assert [event["outcome"] for event in bench.events("one", "request")] == ["parsed"] * 3
    assert {event["status"] for event in bench.events("one", "batch")} == {"validating", "completed"}
    assert bench.events("one", "progress")[-1]["done"] == 3
