from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.jobs import EndRequest, JobKind, JobState
from core.domain.plans import GenerationPlan
from core.domain.review import Action
from core.jobs.child import run_child
from core.jobs.context import STOP_FILE, ask_to_end, end_request
from core.storage.batches import BatchStore
from core.storage.jobs import JobStore
from core.storage.ledger import Leaving, Ledger
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.llm.loopback import closed_port_url
from tests.core.llm.scripted import ScriptedModel, example_text
from tests.factories import make_task
from tests.pages.test_prompts_page import ROOT, words


def open_page() -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages/shell.py"), default_timeout=30)
    at.run()
    at.switch_page(str(ROOT / "pages/generate.py"))
    return at.run()


def test_an_empty_workspace_cannot_start_and_says_why(workbench: Workbench):
    page = open_page()
    assert not page.exception
    assert page.button(key="start-generation").disabled
    assert "asks for nothing" in words(page, "info")
    page.number_input(key="count-short-long").set_value(5).run()
    assert "no accepted task" in words(page, "info")


def test_the_estimate_and_the_warning_come_before_the_start(workbench: Workbench):
    workbench.tasks.store([make_task()])
    page = open_page()
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Requests to send"] == "10"
    assert metrics["Cost"] == "$0"
    assert "its texts are weak" in words(page, "warning")
    assert not page.button(key="start-generation").disabled


def test_a_language_plan_of_the_paper_and_of_own_weights(workbench: Workbench):
    page = open_page()
    page.number_input(key="count-sts").set_value(3).run()
    for mode in ("The paper's weights", "Own weights"):
        page.segmented_control(key="language-mode").set_value(mode).run()
        assert not page.exception
    for name in ("English", "Chinese (Simplified)"):
        page.number_input(key=f"weight-{name}").set_value(0.0)
    page.run()
    assert "at least one language" in words(page, "error")


def test_a_job_is_shown_with_its_failures_and_raw_replies(workbench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    bench = Bench(workbench, workbench.settings.jobs_folder)
    plan = make_plan(4, in_flight=1)
    job = bench.desk.start_generation(plan)
    answers = [example_text("sts", 0), "not json at all", example_text("sts", 1), example_text("sts", 2)]
    bench.generate(ScriptedModel(lambda request, n: answers[n]), plan, job_id=job.id)
    page = open_page()
    assert not page.exception
    assert {metric.label: metric.value for metric in page.metric if metric.label in ("Parsed", "Failed")} == {"Parsed": "3", "Failed": "1"}
    assert "not json at all" in words(page, "code")


def test_a_job_that_brought_nothing_is_failed_and_says_why_and_what_to_do(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    bench = Bench(workbench, workbench.settings.jobs_folder)
    job = bench.desk.start_generation(make_plan(2))
    bench.model = ScriptedModel(lambda request, n: "not json at all")
    store = JobStore(workbench.database, workbench.settings.jobs_folder)
    run_child(job.id, store, {JobKind.GENERATE: bench.desk.run_generation})
    page = open_page()
    assert not page.exception
    assert "All 2 requests failed, 2 as not_json" in words(page, "error")
    assert "another seed" in words(page, "error")
    assert "not json at all" in words(page, "code")
    assert "0 new triples" in words(page, "markdown")


def test_yields_are_told_by_prompt_version_group_language_and_model_with_their_cost(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    assert "No example has been asked for yet" in words(open_page(), "markdown")
    bench = Bench(workbench, workbench.settings.jobs_folder)
    for start, model, price in ((0, "priced", {"prompt": 1.0, "completion": 1.0}), (10, "unpriced", None)):
        plan = make_plan(3, model=model, price=price, languages={"French": 1.0})
        job = bench.desk.start_generation(plan)
        bench.generate(ScriptedModel(lambda request, n, start=start: example_text("sts", start + n)), plan, job_id=job.id)
    triple = bench.triples.find()[0]
    workbench.review.decide(triple.id, Action.ACCEPT, "me")
    page = open_page()
    page.segmented_control(key="yield-axis").set_value("model").run()
    assert not page.exception
    rows = {row["model"]: row for row in yields_table(page)}
    assert set(rows) == {"priced", "unpriced", "all"}
    assert (rows["all"]["sent"], rows["all"]["accepted"], rows["all"]["to review"]) == (6, 1, 5)
    assert rows["priced"]["acceptance"] == "100% of 1"
    assert rows["priced"]["$ per accepted"] == rows["priced"]["cost"] != "–"
    assert rows["unpriced"]["cost"] == rows["unpriced"]["$ per accepted"] == "unknown price"
    assert rows["all"]["cost"].endswith("+ 3 of 6 unknown")
    for axis, name in (("language", "French"), ("group", "sts"), ("prompt version", "sts v1 · built in")):
        page.segmented_control(key="yield-axis").set_value(axis).run()
        assert [row[axis] for row in yields_table(page)] == [name]
    page.segmented_control(key="yield-scope").set_value("the job above").run()
    assert [row["sent"] for row in yields_table(page)] == [3]


def test_three_examples_are_written_first_and_not_paid_again(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("core.jobs.board.JobBoard._launch", lambda self, job: None)
    workbench.endpoints.save({"name": "Mine", "base_url": "http://scripted/v1", "model": "scripted"})
    workbench.endpoints.choose_default("Mine")
    page = open_page()
    page.number_input(key="count-sts").set_value(5)
    page.number_input(key="count-bitext").set_value(5)
    page.number_input(key="generate-seed").set_value(7)
    page.session_state["plan-preview"] = True
    page.run()
    assert not page.exception
    assert "Not asked yet." in words(page, "text")
    page.button(key="write-first").click().run()
    [job] = workbench.jobs.find(JobKind.GENERATE)
    plan = GenerationPlan.model_validate(job.plan)
    assert {group.value: count for group, count in plan.counts.items()} == {"sts": 2, "bitext": 1}
    bench = Bench(workbench, workbench.settings.jobs_folder)
    bench.generate(ScriptedModel(lambda request, n: example_text("sts", n)), plan, job_id=job.id)
    page.run()
    assert not page.exception
    assert "Not asked yet." not in words(page, "text")
    assert {metric.label: metric.value for metric in page.metric}["Requests to send"] == "7"


def yields_table(page: AppTest) -> list[dict[str, object]]:
    [table] = [found.value for found in page.dataframe if "$ per accepted" in found.value.columns]
    return table.to_dict("records")


def test_a_job_at_work_can_be_paused_and_a_paused_one_says_who_paused_it(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    bench = Bench(workbench, workbench.settings.jobs_folder)
    plan = make_plan(4, in_flight=1)
    job = bench.desk.start_generation(plan)
    page = open_page()
    page.button(key=f"pause-{job.id}").click().run()
    assert not page.exception
    asked = end_request(job.folder)
    assert asked is not None
    assert (asked.state, asked.by) == (JobState.PAUSED, workbench.settings.reviewer)

    def pausing(request, n: int) -> str:
        ask_to_end(job.folder, EndRequest(JobState.PAUSED, "Ada", "2026-01-02T03:04:05"))
        return example_text("sts", n)

    (job.folder / STOP_FILE).unlink()
    bench.model = ScriptedModel(pausing)
    assert run_child(job.id, workbench._job_store, {JobKind.GENERATE: bench.desk.run_generation}) is JobState.PAUSED
    page = open_page()
    assert not page.exception
    assert "paused 2026-01-02 03:04 UTC by Ada" in words(page, "markdown")
    assert {metric.label: metric.value for metric in page.metric}["New triples"] == "1"
    assert page.button(key=f"resume-{job.id}")
    page.button(key=f"stop-{job.id}").click().run()
    assert workbench.jobs.get(job.id).state is JobState.STOPPED
    assert page.button(key=f"resume-{job.id}")


@pytest.mark.slow
def test_a_refusing_endpoint_fails_with_its_hint_on_the_page(workbench: Workbench):
    workbench.endpoints.save({"name": "closed", "base_url": closed_port_url(), "model": "m"})
    workbench.endpoints.choose_default("closed")
    page = open_page()
    page.number_input(key="count-sts").set_value(4).run()
    page.button(key="start-generation").click().run()
    [job] = workbench.jobs.find(JobKind.GENERATE)
    workbench.jobs.wait(job.id, timeout_seconds=40)
    page.run()
    assert not page.exception
    assert "cannot be reached" in words(page, "error")
    assert "Settings page" in words(page, "error")
    assert page.button(key=f"resume-{job.id}")


def test_a_batch_is_half_the_price_and_its_place_is_shown(workbench: Workbench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workbench.jobs, "_launch", lambda job: None)
    workbench.endpoints.save(
        {"name": "Mine", "base_url": "http://scripted/v1", "model": "m", "price": {"prompt": 1000.0, "completion": 1000.0}}
    )
    workbench.endpoints.choose_default("Mine")
    page = open_page()
    page.number_input(key="count-sts").set_value(4).run()
    direct = next(metric.value for metric in page.metric if metric.label == "Cost")
    page.toggle(key="generate-batch").set_value(True).run()
    assert not page.exception
    batch = next(metric.value for metric in page.metric if metric.label == "Cost")
    assert float(batch.strip("$")) == pytest.approx(float(direct.strip("$")) / 2, rel=0.1)
    assert "Half the price, up to 24 hours" in words(page, "caption")

    plan = make_plan(4, batch=True)
    job = workbench.generation.start_generation(plan)
    ledger, store = Ledger(workbench.database), BatchStore(workbench.database)
    planned = list(workbench.generation._planner.generation(plan))
    ledger.plan(planned, job.id)
    with ledger.together():
        ledger.mark_all_sent([Leaving(request.key) for request in planned], job.id)
        store.add("b", job.id, plan.base_url, [request.key for request in planned])
    store.mark_submitted("b", "batch_77")
    store.mark_seen("b", "in_progress", completed=3, failed=0)
    page.run()
    assert not page.exception
    [table] = [t.value for t in page.dataframe if "standing" in t.value.columns]
    assert table.to_dict("records") == [{"batch": "batch_77", "standing": "in progress", "answered": 3, "of": 4, "note": ""}]
    page.button(key=f"cancel-batches-{job.id}").click().run()
    assert "cannot be reached" in words(page, "error")


def test_the_embedded_teacher_offers_no_batch(workbench: Workbench):
    assert open_page().toggle(key="generate-batch").disabled
