from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.groups import GROUPS, TaskGroup
from core.domain.jobs import JobKind, JobState
from core.domain.plans import BrainstormPlan, Budget
from core.domain.request import RequestState
from core.domain.task import TaskState
from core.domain.yields import YieldAxis
from core.errors import (
    BadPlan,
    BroughtNothing,
    BudgetReached,
    DiskFull,
    EndpointRejected,
    EndpointUnreachable,
    NotFound,
    NothingToDo,
    WorkbenchError,
)
from core.jobs.child import run_child
from core.jobs.context import STOP_FILE
from core.storage.jobs import JobStore
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.llm.scripted import ScriptedModel, example_text, make_reply, tasks_text
from tests.factories import TASK, make_task

GROUP = TaskGroup.STS
DOWN = EndpointUnreachable("The endpoint is down.", hint="Start it.")


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    return Bench(workbench, tmp_path)


def good(group: TaskGroup = GROUP, start: int = 0) -> ScriptedModel:
    return ScriptedModel(lambda request, n: example_text(group, start + n))


def raising(error: WorkbenchError, *, after: int = 0) -> ScriptedModel:
    def answer(request, n: int) -> str:
        if n >= after:
            raise error
        return example_text(GROUP, n)

    return ScriptedModel(answer)


def test_each_reply_becomes_a_triple_with_its_whole_lineage(bench: Bench):
    result = bench.generate(good(), make_plan(4), job_id="one")
    assert {k: result[k] for k in ("planned", "sent", "received", "parsed", "failed", "added", "duplicates")} == {
        "planned": 4, "sent": 4, "received": 4, "parsed": 4, "failed": 0, "added": 4, "duplicates": 0,
    }  # fmt: skip
    records = bench.triples.find()
    assert len(records) == 4
    triple = records[0].triple
    request = bench.ledger.get(triple.request_key)
    assert (request.state, request.job_id) == (RequestState.PARSED, "one")
    assert triple.prompt_version_id == bench.workbench.prompts.newest(GROUP, request.request.step).id
    assert (triple.model, triple.source, triple.task) == ("scripted", "generated", GROUPS[GROUP].fixed_task)
    assert dict(triple.slots) == dict(request.request.slots)
    assert request.raw


def test_the_number_in_flight_is_never_passed(bench: Bench):
    model = ScriptedModel(lambda request, n: example_text(GROUP, n), overlap=3)
    bench.generate(model, make_plan(9, in_flight=3))
    assert model.most_in_flight == 3


def test_the_same_plan_again_sends_nothing_and_k_more_examples_send_k(bench: Bench):
    bench.generate(good(), make_plan(4))
    again, more = good(start=4), good(start=4)
    second = bench.generate(again, make_plan(4))
    assert (second["planned"], second["answered_before"], second["sent"], second["added"]) == (4, 4, 0, 0)
    assert bench.generate(more, make_plan(7))["sent"] == 3
    assert (len(again.requests), len(more.requests)) == (0, 3)
    assert bench.triples.count() == 7


def test_another_seed_is_another_set_of_requests(bench: Bench):
    bench.generate(good(), make_plan(4))
    assert bench.generate(good(start=4), make_plan(4, seed=1))["sent"] == 4


def test_after_a_kill_only_what_has_no_reply_is_sent(bench: Bench):
    plan = make_plan(6, in_flight=1)

    def killed(request, n: int) -> str:
        if n == 3:
            raise KeyboardInterrupt  # a kill cannot be caught by the desk either
        return example_text(GROUP, n)

    with pytest.raises(BaseException):  # noqa: B017, PT011
        bench.generate(ScriptedModel(killed), plan, job_id="one")
    assert bench.ledger.tally("one").by_state == {RequestState.PARSED: 3, RequestState.SENT: 1, RequestState.PLANNED: 2}
    model = good(start=10)
    result = bench.generate(model, plan, job_id="one")
    assert len(model.requests) == 3
    # The one in flight was maybe paid twice, and is counted twice; what the first run added counts too.
    assert (result["planned"], result["sent"], result["parsed"], result["added"]) == (6, 7, 6, 6)


def test_a_stored_reply_that_was_never_read_is_read_again_for_nothing(bench: Bench):
    plan = make_plan(1)
    planned = list(bench.desk._planner.generation(plan))
    bench.ledger.plan(planned, "one")
    bench.ledger.mark_sent(planned[0].key, "one")
    bench.ledger.mark_received(planned[0].key, make_reply(example_text(GROUP)), 0.25)
    model = good()
    result = bench.generate(model, plan, job_id="one")
    assert (len(model.requests), result["parsed"], result["cost"]) == (0, 1, 0.25)


def test_failed_replies_keep_their_raw_text_and_reason_and_are_not_paid_again(bench: Bench):
    cut_off = '{"S1": "a", "S2": "b"'
    answers = [cut_off, "no json at all", '{"S1": "a"}', example_text(GROUP, 1), cut_off]  # the last is the repeat of the first
    plan = make_plan(4, in_flight=1)
    result = bench.generate(ScriptedModel(lambda request, n: answers[n]), plan, job_id="one")
    assert result["failures"] == {"length": 1, "not_json": 1, "wrong_shape": 1}
    assert {(f.reason, f.raw) for f in bench.desk.failures("one")} == set(zip(("length", "not_json", "wrong_shape"), answers, strict=False))
    again = good()
    bench.generate(again, plan)
    assert again.requests == []


def test_a_job_of_which_every_request_failed_fails_with_the_commonest_reason_and_keeps_its_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bench.workbench.jobs, "_launch", lambda job: None)
    job = bench.workbench.generation.start_generation(make_plan(3, in_flight=1))
    answers = ["no json", '{"S1": "a"}', "no json either"]
    bench.model = ScriptedModel(lambda request, n: answers[n])
    store = JobStore(bench.workbench.database, bench.workbench.settings.jobs_folder)
    assert run_child(job.id, store, {JobKind.GENERATE: bench.desk.run_generation}) is JobState.FAILED
    ended = bench.workbench.jobs.get(job.id)
    assert ended.failure is not None
    assert (ended.state, ended.failure.code) == (JobState.FAILED, "brought_nothing")
    assert "All 3 requests failed, 2 as not_json" in ended.failure.message
    assert "another seed" in ended.failure.hint
    assert (ended.result["received"], ended.result["failures"]) == (3, {"not_json": 2, "wrong_shape": 1})


def test_one_reply_of_use_makes_a_job_done_with_its_failures_counted(bench: Bench):
    context = bench.context(make_plan(3, in_flight=1))
    bench.model = ScriptedModel(lambda request, n: example_text(GROUP, n) if n == 2 else "no json")
    result = bench.desk.run_generation(context)
    assert (result["parsed"], result["failures"]) == (1, {"not_json": 2})


def test_a_brainstorm_that_brought_nothing_fails_too(bench: Bench):
    bench.model = raising(EndpointRejected("No such model.", hint="Choose another."))
    with pytest.raises(BroughtNothing, match="The only request failed, 1 as endpoint_rejected") as caught:
        bench.desk.run_brainstorm(bench.context(BrainstormPlan(base_url="http://x/v1", model="x", counts={TaskGroup.SHORT_LONG: 20})))
    assert "resume the job" in caught.value.hint


def test_a_stopped_job_is_stopped_and_not_failed_although_nothing_came_yet(bench: Bench):
    context = bench.context(make_plan(3, in_flight=1), "one")

    def answer(request, n: int) -> str:
        (context.folder / STOP_FILE).write_text("")
        return "no json"

    bench.model = ScriptedModel(answer)
    assert bench.desk.run_generation(context)["failures"] == {"not_json": 1}


def test_an_endpoint_that_refuses_ends_the_job_after_a_few_attempts(bench: Bench):
    model = raising(DOWN)
    with pytest.raises(EndpointUnreachable) as caught:
        bench.generate(model, make_plan(50), job_id="one")
    assert caught.value.hint == "Start it."
    assert len(model.requests) <= 3 + 2  # three refusals, and what was in flight beside them
    tally = bench.ledger.tally("one")
    assert tally.received == 0
    assert bench.events("one", "summary")[0]["failures"] == {"endpoint_unreachable": tally.failed}


def test_after_an_outage_the_rest_is_sent_when_the_job_is_resumed(bench: Bench):
    plan = make_plan(30, in_flight=2)
    with pytest.raises(EndpointUnreachable):
        bench.generate(raising(DOWN, after=10), plan, job_id="one")
    model = good(start=10)
    result = bench.generate(model, plan, job_id="one")
    assert (len(model.requests), result["parsed"], result["failed"]) == (20, 30, 0)
    assert bench.events("one", "progress")[-1]["done"] == 30


def test_one_refused_request_does_not_end_the_others(bench: Bench):
    def answer(request, n: int) -> str:
        if n == 5:
            raise EndpointRejected("content policy", hint="change it")
        return example_text(GROUP, n)

    result = bench.generate(ScriptedModel(answer), make_plan(10))
    assert (result["parsed"], result["failures"]) == (9, {"endpoint_rejected": 1})


def test_the_budget_of_requests_is_kept_exactly_and_what_came_is_kept(bench: Bench):
    model = good()
    with pytest.raises(BudgetReached, match="5 requests") as caught:
        bench.generate(model, make_plan(20, budget=Budget(requests=5)), job_id="one")
    assert len(model.requests) == 5
    assert "larger budget" in caught.value.hint
    assert bench.triples.count() == 5
    rest = good(start=5)
    assert bench.generate(rest, make_plan(20), job_id="two")["sent"] == 15


def test_the_budget_of_money_is_never_passed_even_with_many_in_flight(bench: Bench):
    # gpt-4o-mini: at most 100 tokens a reply = $0.00006, prompt of about 300 tokens = $0.000045
    plan = make_plan(50, base_url="https://api.openai.com/v1", model="gpt-4o-mini", max_tokens=100, in_flight=8, budget=Budget(money=0.001))
    model = ScriptedModel(lambda request, n: make_reply(example_text(GROUP, n), prompt_tokens=300, completion_tokens=100))
    with pytest.raises(BudgetReached, match=r"\$0.0010"):
        bench.generate(model, plan, job_id="one")
    tally = bench.ledger.tally("one")
    assert 5 <= tally.parsed < 50
    assert tally.cost == pytest.approx(tally.parsed * (300 * 0.15e-6 + 100 * 0.6e-6))
    assert tally.cost <= 0.001


def test_a_money_budget_without_a_known_price_is_refused(bench: Bench):
    with pytest.raises(BadPlan, match="unknown"):
        bench.desk.start_generation(make_plan(2, budget=Budget(money=1.0)))
    assert bench.workbench.jobs.find() == []


def test_an_unknown_price_is_unknown_in_the_result(bench: Bench):
    assert bench.generate(good(), make_plan(1))["cost"] is None


def test_a_stop_finishes_what_is_in_flight_and_leaves_the_rest_planned(bench: Bench):
    plan = make_plan(6, in_flight=1)
    context = bench.context(plan, "one")

    def answer(request, n: int) -> str:
        if n == 1:
            (context.folder / "stop-requested").write_text("")
        return example_text(GROUP, n)

    bench.model = ScriptedModel(answer)
    assert bench.desk.run_generation(context)["parsed"] == 2
    assert bench.ledger.tally("one").by_state[RequestState.PLANNED] == 4


def test_a_full_disk_has_its_own_name_and_loses_nothing(bench: Bench):
    class FullTriples:
        def add(self, new, *_):
            raise DiskFull("no space", hint="free some")

    healthy = bench.desk._triples
    bench.desk._triples = FullTriples()
    with pytest.raises(DiskFull):
        bench.generate(good(), make_plan(1), job_id="one")
    assert bench.ledger.tally("one").by_state == {RequestState.RECEIVED: 1}
    bench.desk._triples = healthy
    model = good()
    assert bench.generate(model, make_plan(1), job_id="one")["added"] == 1
    assert model.requests == []


def test_flags_of_the_checks_are_stored_with_the_triple(bench: Bench):
    text = '{"S1": "Bees dance.", "S2": "I\'m sorry, but I can\'t write this.", "S3": "Bees sleep."}'
    result = bench.generate(ScriptedModel(lambda request, n: text), make_plan(1))
    [record] = bench.triples.find()
    assert {flag.code for flag in record.flags} == {"refusal"}
    assert result["flags"] == {"refusal": 1}


def test_the_same_texts_twice_are_one_triple(bench: Bench):
    result = bench.generate(ScriptedModel(lambda request, n: example_text(GROUP, 7)), make_plan(3))
    assert (result["parsed"], result["added"], result["duplicates"]) == (3, 1, 2)


def test_groups_with_tasks_use_the_accepted_ones_only(bench: Bench):
    plan = make_plan(5, TaskGroup.SHORT_LONG)
    with pytest.raises(NothingToDo, match="short-long has no accepted task"):
        bench.desk.estimate(plan)
    bench.tasks.add([make_task(topic="plants"), make_task("Given a law, find its history.", state=TaskState.PROPOSED)])
    bench.generate(good(TaskGroup.SHORT_LONG), plan)
    assert {(r.triple.task, r.triple.topic) for r in bench.triples.find()} == {(TASK, "plants")}


def test_plans_that_make_no_sense_are_refused_before_anything_starts(bench: Bench):
    for plan, error in (
        (make_plan(0), BadPlan),
        (make_plan(1, languages={"Klingon": 1.0}), NotFound),
        (make_plan(1, prompt_versions={GROUP: "no-such-version"}), NotFound),
    ):
        with pytest.raises(error):
            bench.desk.start_generation(plan)
    assert bench.workbench.jobs.find() == []


def test_an_estimate_knows_what_was_answered_and_learns_from_it(bench: Bench):
    before = bench.desk.estimate(make_plan(10))
    assert (before.requests, before.to_send, before.cost, before.by_group) == (10, 10, None, {GROUP: 10})
    assert "guess" in before.basis
    bench.generate(good(), make_plan(4))
    after = bench.desk.estimate(make_plan(10))
    assert (after.requests, after.answered, after.to_send) == (10, 4, 6)
    assert after.completion_tokens == 6 * 50  # the mean of earlier replies
    assert "earlier replies" in after.basis


def test_an_estimate_of_a_priced_model_is_its_tokens_times_its_price(bench: Bench):
    found = bench.desk.estimate(make_plan(10, base_url="https://api.openai.com/v1", model="gpt-4o-mini"))
    assert found.cost == pytest.approx(found.prompt_tokens * 0.15e-6 + found.completion_tokens * 0.6e-6)


def test_a_preview_shows_the_requests_that_will_be_sent(bench: Bench):
    plan = make_plan(3, languages={"French": 1.0})
    shown = [preview.text for _, preview in bench.desk.preview(plan, 3)]
    model = good()
    bench.generate(model, plan)
    assert sorted(shown) == sorted(request.messages[0]["content"] for request in model.requests)
    assert all("French" in text for text in shown)


def test_a_brainstorm_brings_proposed_tasks_with_their_lineage(bench: Bench):
    plan = BrainstormPlan(base_url="http://scripted/v1", model="scripted", counts={TaskGroup.LONG_LONG: 30}, topics=("law",))
    bench.model = ScriptedModel(lambda request, n: tasks_text(f"Given a contract of kind {n}, find its appendix.", "Given a law, find it."))
    result = bench.desk.run_brainstorm(bench.context(plan, "one"))
    assert (result["planned"], result["added"], result["duplicates"]) == (2, 3, 1)
    tasks = bench.tasks.find(TaskGroup.LONG_LONG, TaskState.PROPOSED)
    assert len(tasks) == 3
    assert bench.ledger.get(tasks[0].request_key).request.slots["topics"] == "law"
    with pytest.raises(BadPlan, match="fixed task"):
        bench.desk.start_brainstorm(BrainstormPlan(counts={TaskGroup.STS: 5}))


def test_yields_by_prompt_version_count_requests_and_verdicts(bench: Bench):
    answers = [example_text(GROUP, 0), "no json"]
    bench.generate(ScriptedModel(lambda request, n: answers[n]), make_plan(2, in_flight=1))
    version = bench.workbench.prompts.newest(GROUP, bench.ledger.get(bench.triples.find()[0].triple.request_key).request.step)
    [found] = bench.workbench.yields.by(YieldAxis.PROMPT)
    assert found.name == version.id
    assert (found.sent, found.parsed, found.failed, found.waiting, found.accepted) == (2, 1, 1, 1, 0)
    assert found.cost is None
    assert found.cost_per_accepted is None


def test_progress_counts_by_group_and_tells_the_rate(bench: Bench):
    bench.generate(good(), make_plan(4), job_id="one")
    progress = bench.desk.progress("one")
    assert progress.tally.by_group == {GROUP: {RequestState.PARSED: 4}}
    assert progress.seconds_left in (0.0, None)
    assert bench.events("one", "planned")[0]["new"] == 4
    assert [e["outcome"] for e in bench.events("one", "request")] == ["parsed"] * 4


def test_a_reply_that_a_killed_run_left_unread_is_read_by_the_same_command_again(bench: Bench):
    plan = make_plan(2)
    planned = list(bench.desk._planner.generation(plan))
    bench.ledger.plan(planned, "killed")
    bench.ledger.mark_sent(planned[0].key, "killed")
    bench.ledger.mark_received(planned[0].key, make_reply(example_text(GROUP, 100)), 0.25)
    model = good()
    bench.generate(model, plan, job_id="again")
    assert len(model.requests) == 1
    assert bench.triples.count() == 2
