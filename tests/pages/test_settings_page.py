from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.workbench import Workbench
from tests.core.llm.loopback import completion, serving
from tests.pages.test_prompts_page import ROOT, words


def open_page() -> AppTest:
    at = AppTest.from_file(str(ROOT / "pages/shell.py"), default_timeout=30)
    at.run()
    at.switch_page(str(ROOT / "pages/settings.py"))
    return at.run()


def fill(page: AppTest, **values: str) -> AppTest:
    for name, value in values.items():
        page.text_input(key=f"new-endpoint-{name}").set_value(value)
    return page.button(key="save-endpoint").click().run()


def test_an_endpoint_is_added_tested_and_offered_first(workbench: Workbench):
    with serving(lambda body, n: completion('{"word": "ready"}')) as server:
        page = fill(open_page(), name="mine", url=server.url, model="m")
        assert not page.exception
        page.selectbox(key="endpoint-name").set_value("mine").run()
        page.button(key="test-endpoint").click().run()
        assert "It answers in" in words(page, "success")
    page.button(key="default-endpoint").click().run()
    assert workbench.endpoints.default().name == "mine"
    page.button(key="remove-endpoint").click().run()
    assert len(workbench.endpoints.list()) == 1


def test_a_bad_address_is_refused_with_a_hint(workbench: Workbench):
    page = fill(open_page(), name="mine", url="nonsense", model="m")
    assert "base_url" in words(page, "error")
    assert len(workbench.endpoints.list()) == 1


def test_a_key_is_taken_and_never_shown(workbench: Workbench, workspace: Path):
    page = open_page()
    page.text_input(key="key-value").set_value("my-very-secret-key")
    page.button(key="give-key").click().run()
    assert not page.exception
    assert page.text_input(key="key-value").value == ""
    assert any("at hand" in str(table.value) for table in page.dataframe)
    assert page.session_state["key-value"] == ""
    shown = words(page, "markdown", "caption", "text", "toast") + " ".join(str(table.value) for table in page.dataframe)
    assert "my-very-secret-key" not in shown


def test_the_name_of_the_reviewer_holds_for_the_session(workbench: Workbench):
    page = open_page()
    page.text_input(key="reviewer-name").set_value("Ada").run()
    assert page.session_state["reviewer"] == "Ada"
