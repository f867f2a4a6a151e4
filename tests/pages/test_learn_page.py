from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import PROJECT_FOLDER
from core.workbench import Workbench
from pages.ui.session import open_workbench
from tests.core.exploration.test_lesson import Service


class ReadyService(Service):
    def ready(self) -> bool:
        return True


class WaitingService(Service):
    started = False

    def ready(self) -> bool:
        return False

    def ensure_started(self, wait_seconds: float = 30) -> None:
        self.started = True


@pytest.fixture
def served(workspace) -> Workbench:
    """The workbench the page opens, with a service that answers at once."""
    workbench = open_workbench()
    workbench.__dict__["service"] = ReadyService()
    return workbench


@pytest.fixture
def page(workspace):
    at = AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=20)
    return at.switch_page(str(PROJECT_FOLDER / "pages" / "learn.py"))


def words(at: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (at.markdown, at.text, at.caption, at.subheader) for element in kind)


def test_it_waits_for_the_service_and_starts_it(page, workspace):
    service = WaitingService()
    open_workbench().__dict__["service"] = service
    page.run()
    assert not page.exception
    assert service.started


def test_all_steps_have_prose_and_a_question(page, served):
    page.run()
    seen = []
    for step in range(5):
        assert not page.exception
        seen.append(page.subheader[0].value)
        assert any("Think about it" in box.value for box in page.info) or step == 4
        if step < 4:
            page.button(key="learn-next").click().run()
    assert seen == ["1. Tokens and pooling", "2. The narrow cone", "3. A raw ranking", "4. The loss", "5. After training"]
    assert "No model was trained" in words(page)


def test_own_text_is_kept_through_the_steps(page, served):
    page.run()
    page.text_area(key="learn-query").set_value("three words here").run()
    assert [m.value for m in page.metric] == ["3", "4"]  # words; tokens with the end token
    page.button(key="learn-next").click().run()
    page.button(key="learn-next").click().run()
    assert page.text_area(key="learn-query").value == "three words here"
    assert "of 12" in words(page)


def test_the_temperature_changes_the_loss_and_the_mask_the_first_one(page, served):
    page.run()
    page.button_group(key="learn-step").set_value(3).run()
    assert not page.exception

    def losses() -> list[float]:
        return [float(m.value) for m in page.metric]

    sharp = losses()
    page.slider(key="learn-temperature").set_value(1.0).run()
    soft = losses()
    assert sharp != soft
    assert soft[4] == pytest.approx(2.079, abs=0.2)  # near log 8
    page.toggle(key="learn-false-negative").set_value(True).run()
    wrong = losses()
    page.toggle(key="learn-mask").set_value(True).run()
    masked = losses()
    assert masked[0] < wrong[0]
    assert masked[1:4] == wrong[1:4]
