from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.groups import TaskGroup
from core.domain.jobs import JobKind
from core.domain.plans import GenerationPlan
from core.domain.prompt import PromptStep
from core.workbench import Workbench
from tests.core.generation.jobs import Bench
from tests.core.llm.scripted import ScriptedModel, example_text
from tests.factories import make_task

ROOT = Path(__file__).parents[2]
TEMPLATE = "template-short-long-example"


def words(at: AppTest, *kinds: str) -> str:
    return " ".join(str(element.value) for kind in kinds for element in at.get(kind)).replace("\\", "")


@pytest.fixture
def page(workspace: Path) -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages/shell.py"), default_timeout=30)
    at.run()
    at.switch_page(str(ROOT / "pages/prompts.py"))
    return at.run()


def test_the_newest_template_is_shown_with_its_preview(page: AppTest):
    assert not page.exception
    assert "{query_length}" in page.text_area(key=TEMPLATE).value
    assert "You write one training example for a search engine." in words(page, "code")
    assert page.button(key="save-version").disabled


def test_a_broken_slot_is_named_and_cannot_be_saved(page: AppTest):
    template = page.text_area(key=TEMPLATE)
    template.set_value(template.value.replace("{query_length}", "{query_lenght}")).run()
    assert not page.exception
    assert "{query_lenght}" in words(page, "error")
    assert page.button(key="save-version").disabled
    assert page.button(key="try-it").disabled


def test_a_changed_template_is_saved_compared_and_restored(page: AppTest, workbench: Workbench):
    template = page.text_area(key=TEMPLATE)
    template.set_value(template.value + "Be brief.\n").run()
    page.text_input(key=f"note-{TEMPLATE}").set_value("shorter").run()
    page.button(key="save-version").click().run()
    newest = workbench.prompts.newest(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE)
    assert (newest.number, newest.note) == (2, "shorter")
    assert "+Be brief." in words(page, "code")
    page.button(key="restore-version").click().run()
    assert not page.exception
    assert [v.number for v in workbench.prompts.versions(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE)] == [3, 2, 1]
    assert "Be brief." not in page.text_area(key=TEMPLATE).value


def test_slots_are_drawn_again_and_pinned(page: AppTest):
    shown = {words(page, "code")}
    for _ in range(4):
        page.button(key="draw-again").click().run()
        shown.add(words(page, "code"))
    assert len(shown) > 2
    page.selectbox(key="pin-short-long-example-language").set_value("Welsh").run()
    assert "written in Welsh" in words(page, "code")


def test_every_group_and_step_opens(page: AppTest):
    for group in TaskGroup:
        page.segmented_control(key="prompt-group").set_value(group.value).run()
        assert not page.exception
        steps = page.segmented_control(key=f"prompt-step-{group.value}")
        if len(steps.options) > 1:
            steps.set_value("brainstorm").run()
            assert not page.exception


def test_two_versions_are_compared_on_the_same_tasks(workbench: Workbench, page: AppTest, monkeypatch: pytest.MonkeyPatch):
    assert "Two versions can be compared" in words(page, "markdown")
    monkeypatch.setattr("core.jobs.board.JobBoard._launch", lambda self, job: None)
    workbench.endpoints.save({"name": "Mine", "base_url": "http://scripted/v1", "model": "m", "price": {"prompt": 1.0, "completion": 1.0}})
    workbench.endpoints.choose_default("Mine")
    old = workbench.prompts.newest(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE)
    workbench.prompts.save(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE, old.template + "Be brief.", note="brief", parent_id=old.id)
    page.run()
    assert "no accepted task" in words(page, "info")
    workbench.tasks.store([make_task()])
    page.run()
    page.number_input(key="compare-count").set_value(3).run()
    assert "6 requests (3 each)" in words(page, "markdown")
    assert "Cost: $" in words(page, "markdown")
    page.button(key="start-comparison").click().run()
    assert not page.exception
    jobs = sorted(workbench.jobs.find(JobKind.GENERATE), key=lambda job: job.created_at)
    bench = Bench(workbench, workbench.settings.jobs_folder)
    for start, job in enumerate(jobs):
        plan = GenerationPlan.model_validate(job.plan)
        answer = ScriptedModel(lambda request, n, start=start: example_text("short-long", 10 * start + n) if n or start else "no json")
        bench.generate(answer, plan, job_id=job.id)
    page.run()
    assert not page.exception
    [tallies] = [t.value for t in page.dataframe if "neither" in t.value.columns]
    assert list(tallies["pairs"]) == [3, 3, 0]
    assert [tallies[name][0] for name in ("both", "only v1", "only v2", "neither")] == [2, 0, 1, 0]
    yields = [t.value for t in page.dataframe if "$ per accepted" in t.value.columns][-1]
    assert list(yields["parsed"]) == ["67% of 3", "100% of 3"]
    assert "3 pairs are few" in words(page, "caption")
