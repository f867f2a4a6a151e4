from __future__ import annotations

import pytest

from core.domain.comparison import Tally
from core.domain.endpoint import Endpoint
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import GenerationPlan
from core.domain.prompt import PromptStep, PromptVersion
from core.domain.review import Action
from core.errors import BadPlan, NothingToDo
from core.generation.comparison import Plans, PromptComparisons
from core.storage.jobs import JobStore
from core.workbench import Workbench
from tests.core.generation.jobs import Bench
from tests.core.llm.scripted import ScriptedModel, example_text
from tests.factories import make_task

GROUP = TaskGroup.SHORT_LONG
ENDPOINT = Endpoint(name="Scripted", base_url="http://scripted/v1", model="scripted", in_flight=4)
LANGUAGES = {"English": 1.0, "French": 1.0, "Hausa": 1.0}
Versions = tuple[PromptVersion, PromptVersion]


@pytest.fixture
def versions(workbench: Workbench) -> Versions:
    old = workbench.prompts.newest(GROUP, PromptStep.EXAMPLE)
    return old, workbench.prompts.save(GROUP, PromptStep.EXAMPLE, old.template.strip() + "\nBe brief.", note="brief", parent_id=old.id)


@pytest.fixture
def bench(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    workbench.tasks.store([make_task(f"Given question {i}, find the page that answers it.") for i in range(9)])
    return Bench(workbench, workbench.settings.jobs_folder)


def plans_of(desk: PromptComparisons, versions: Versions, count: int = 40) -> Plans:
    return desk.plan(versions[0].id, versions[1].id, ENDPOINT, count=count, languages=LANGUAGES)


def test_both_versions_get_the_same_tasks_slots_languages_and_seeds_and_another_wording(bench: Bench, versions: Versions):
    workbench = bench.workbench
    one, other = plans_of(workbench.comparisons, versions)
    before = workbench.generation.preview(one, 40)
    workbench.tasks.store([make_task(f"Task {i} that was accepted between the two starts.") for i in range(20)])
    after = workbench.generation.preview(other, 40)
    assert len(before) == len(after) == 40
    for (a, _), (b, _) in zip(before, after, strict=True):
        assert (a.task_id, a.slots, a.language, a.parameters, a.schema) == (b.task_id, b.slots, b.language, b.parameters, b.schema)
        assert (a.prompt_version_id, b.prompt_version_id) == (versions[0].id, versions[1].id)
        assert b.messages[0]["content"].strip() == a.messages[0]["content"].strip() + "\nBe brief."
    assert len({a.language for a, _ in before}) == 3
    assert len({a.task_id for a, _ in before}) > 5


def test_the_estimate_is_of_both_and_a_new_comparison_draws_anew(bench: Bench, versions: Versions):
    desk = bench.workbench.comparisons
    plans = plans_of(desk, versions, 10)
    found = desk.estimate(plans)
    assert (found.requests, found.to_send, found.cost, found.by_group) == (20, 20, None, {GROUP: 20})
    assert found.prompt_tokens == sum(bench.workbench.generation.estimate(plan).prompt_tokens for plan in plans)
    assert plans_of(desk, versions, 10) == plans
    desk.start(plans)
    again = plans_of(desk, versions, 10)
    assert again[0].seed != plans[0].seed
    assert desk.estimate(again).answered == 0


def test_a_comparison_is_started_once_and_no_other_gets_its_id_however_many_jobs_there_are(bench: Bench, versions: Versions):
    workbench = bench.workbench
    desk = workbench.comparisons
    ids, stale = set(), plans_of(desk, versions, 7)
    for count in (5, 5, 6):
        plans = plans_of(desk, versions, count)
        jobs = desk.start(plans)
        assert [job.id for job in desk.start(plans)] == [job.id for job in jobs]
        ids.add(plans[0].comparison)
    store = JobStore(workbench.database, workbench.settings.jobs_folder)
    for i in range(200):  # lists of jobs end there
        store.add(Job(f"generate-{i}", JobKind.GENERATE, "later", JobState.DONE, {"counts": {}}, "hash", bench.folder, created_at="9999"))
    assert desk.of_group(GROUP) == []
    plans = plans_of(desk, versions, 5)
    assert plans[0].comparison not in ids
    assert plans[0].seed != plans_of(desk, versions, 7)[0].seed
    assert len({plan[0].comparison for plan in (plans, stale)} | ids) == 5


def test_results_stand_pair_by_pair_with_yields_and_verdicts(bench: Bench, versions: Versions):
    desk, review = bench.workbench.comparisons, bench.workbench.review
    jobs = desk.start(plans_of(desk, versions, 6))
    one, other = (GenerationPlan.model_validate(job.plan) for job in jobs)
    bench.generate(ScriptedModel(lambda request, n: example_text(GROUP, n)), one, job_id=jobs[0].id)
    bench.generate(ScriptedModel(lambda request, n: "no json" if n < 2 else example_text(GROUP, 100 + n)), other, job_id=jobs[1].id)
    [(identifier, name)] = desk.of_group(GROUP)
    assert name.startswith("v1 and v2 · 6 examples each · scripted")
    assert desk.of_group(TaskGroup.STS) == []
    found = desk.get(identifier)
    assert [job.id for job in found.jobs] == [job.id for job in jobs]
    assert [(y.sent, y.parsed, y.failed, y.made) for y in found.yields] == [(6, 6, 0, 6), (6, 4, 2, 4)]
    assert len(found.pairs) == len(found.ended_pairs) == 6
    for pair in found.pairs:
        first, second = (bench.ledger.get(side.key).request for side in pair)
        assert (first.slots, first.task_id, first.language) == (second.slots, second.task_id, second.language)
        assert (first.prompt_version_id, second.prompt_version_id) == (versions[0].id, versions[1].id)
    assert sum(b.parsed for _, b in found.pairs) == 4
    assert found.judged_pairs == []
    for a, b in found.pairs:
        review.decide(str(a.triple_id), Action.REJECT, "me", reason="other")
        if b.triple_id:
            review.decide(b.triple_id, Action.ACCEPT, "me")
    found = desk.get(identifier)
    assert len(found.judged_pairs) == 6  # a request that brought nothing needs no judge
    assert [(y.accepted, y.rejected) for y in found.yields] == [(0, 6), (4, 0)]


def test_versions_that_cannot_be_compared_are_refused(bench: Bench, versions: Versions):
    desk, prompts = bench.workbench.comparisons, bench.workbench.prompts
    restored = prompts.restore(versions[0].id)
    other_group = prompts.newest(TaskGroup.STS, PromptStep.EXAMPLE)
    for second, words in ((restored, "same wording"), (other_group, "one group's example prompt")):
        with pytest.raises(BadPlan, match=words):
            plans_of(desk, (versions[0], second))


def test_without_an_accepted_task_nothing_is_started(workbench: Workbench, versions: Versions):
    with pytest.raises(NothingToDo):
        workbench.comparisons.start(plans_of(workbench.comparisons, versions))
    assert workbench.jobs.find() == []


def test_the_sign_test_counts_pairs_that_differ_only():
    assert Tally(10, 0, 0, 10).p_value == 1.0
    assert Tally(3, 0, 5, 2).p_value == pytest.approx(2 / 2**5)
    assert Tally(0, 1, 3, 0).p_value == pytest.approx(2 * (1 + 4) / 2**4)
    assert Tally(1, 2, 2, 1).p_value == 1.0
    assert Tally(0, 1500, 1100, 0).p_value < 1e-12  # more pairs than a float's exponent has room for
