from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.workbench import Workbench

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
