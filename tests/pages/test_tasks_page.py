from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.groups import TaskGroup
from core.domain.task import TaskState
from core.workbench import Workbench
from tests.factories import make_task
from tests.pages.test_prompts_page import ROOT, words

ONE = "Given a symptom of a houseplant, retrieve advice that names its cause."


def open_page() -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages/shell.py"), default_timeout=30)
    at.run()
    at.switch_page(str(ROOT / "pages/tasks.py"))
    return at.run()


@pytest.fixture
def filled(workbench: Workbench) -> Workbench:
    workbench.tasks.store([make_task(ONE, state=TaskState.PROPOSED), make_task(ONE.replace("advice", "tips"), state=TaskState.PROPOSED)])
    return workbench


def test_an_empty_page_says_what_to_do_and_what_a_brainstorm_takes(workbench: Workbench):
    page = open_page()
    assert not page.exception
    assert "Brainstorm above" in words(page, "markdown")
    assert "5 requests, $0" in words(page, "caption")  # 20 tasks, 4 a request on the embedded teacher
    assert "very small model" in words(page, "warning")


def test_listed_tasks_are_accepted_and_rejected(filled: Workbench):
    page = open_page()
    page.button(key="accept-tasks").click().run()
    assert not page.exception
    assert len(filled.tasks.list(state=TaskState.ACCEPTED)) == 2
    page.text_input(key="tasks-text").set_value("tips").run()
    page.button(key="reject-tasks").click().run()
    assert [t.text for t in filled.tasks.list(state=TaskState.ACCEPTED)] == [ONE]


def test_tasks_are_added_by_hand_and_a_bad_line_is_named(workbench: Workbench):
    page = open_page()
    page.text_area(key="add-text").set_value(f"{ONE}\nbad")
    page.button(key="add-tasks-button").click().run()
    assert "Line 2" in words(page, "error")
    page.text_area(key="add-text").set_value(ONE)
    page.button(key="add-tasks-button").click().run()
    assert "Added 1 tasks" in words(page, "success")
    assert [t.group for t in workbench.tasks.list()] == [TaskGroup.SHORT_LONG]


def test_near_duplicates_are_side_by_side_and_one_is_rejected(filled: Workbench):
    page = open_page()
    page.session_state["tasks-tabs"] = "Near duplicates"
    page.run()
    assert not page.exception
    page.button(key="pair-0-second").click().run()
    assert len(filled.tasks.list(state=TaskState.REJECTED)) == 1


def test_coverage_is_drawn(filled: Workbench):
    page = open_page()
    page.session_state["tasks-tabs"] = "Coverage"
    page.run()
    assert not page.exception
    assert len(page.get("vega_lite_chart")) == 2
