from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.jobs import JobKind
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
