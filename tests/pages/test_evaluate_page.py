from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import PROJECT_FOLDER
from tests.factories import make_beir_folder, zip_of
from tests.pages.finished_jobs import add_version, evaluated


@pytest.fixture
def page(workspace):
    at = AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=20)
    return at.switch_page(str(PROJECT_FOLDER / "pages" / "evaluate.py"))


def words(at: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (at.markdown, at.text, at.caption) for element in kind)


def test_an_empty_workspace_says_what_to_do(page):
    page.run()
    assert not page.exception
    assert page.selectbox(key="evaluate-test").options == ["Tercet's held-out collection"]
    assert "Each query ranks all" in words(page)
    assert "No evaluation yet" in words(page)


def test_the_form_tells_what_will_be_asked(page, workbench):
    add_version(workbench)
    page.run()
    assert not page.exception
    assert page.multiselect(key="evaluate-systems").value == ["raw", "baseline", "bm25"]
    assert "Queries: 6, tasks: 2. Each query ranks all 12 documents." in words(page)
    page.multiselect(key="evaluate-systems").set_value([]).run()
    assert page.button(key="evaluate-start").disabled


def test_a_report_is_shown_whole(page, workbench):
    evaluated(workbench)
    page.run()
    assert not page.exception
    scores = page.dataframe[0].value
    assert list(scores["System"]) == ["Raw smollm2-135m", "Baseline MiniLM", "BM25 (words)"]
    assert list(scores["Queries"]) == [6, 6, 6]
    assert len(page.dataframe[1].value) == 3
    assert "of 6 queries better than" in words(page).replace("\\", "")
    assert len(page.get("vega_lite_chart")) == 4
    assert "No overlap with" in words(page)
    assert [b.proto.label for b in page.get("download_button")] == ["Report, HTML", "Report, JSON"]


def test_another_metric_is_a_click_away(page, workbench):
    evaluated(workbench)
    page.run()
    page.button_group(key="evaluate-metric").set_value("recall_at_100").run()
    assert not page.exception
    assert any("Recall@100 says nothing here: the corpus has only 12 documents." in box.value for box in page.info)


def test_texts_of_the_data_are_never_markup(page, workbench):
    evaluated(workbench)
    page.run()
    assert not page.exception
    shown = [e.label for e in page.expander if "bold" in e.label]
    assert all("\\<b\\>" in label and "\\*question\\*" in label for label in shown)
    assert shown
    assert not any("<b>bold" in m.value for m in page.markdown)


def test_a_brought_collection_becomes_a_test(page, tmp_path):
    page.run()
    page.text_input(key="evaluate-bring-name").set_value("My test")
    page.file_uploader(key="evaluate-bring-file").upload("small.zip", zip_of(make_beir_folder(tmp_path / "small")))
    page.button(key="evaluate-bring-go").click().run()
    assert not page.exception
    assert page.selectbox(key="evaluate-test").options == ["Tercet's held-out collection", "my-test"]
    page.selectbox(key="evaluate-test").set_value("collection my-test").run()
    assert "Queries: 1, tasks: 1. Each query ranks all 3 documents." in words(page)


def test_a_zip_that_holds_no_collection_is_told(page):
    page.run()
    page.text_input(key="evaluate-bring-name").set_value("My test")
    page.file_uploader(key="evaluate-bring-file").upload("small.zip", b"nonsense")
    page.button(key="evaluate-bring-go").click().run()
    assert not page.exception
    assert any("The zip cannot be read" in box.value for box in page.error)
    assert page.selectbox(key="evaluate-test").options == ["Tercet's held-out collection"]
