from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.triple import Verdict
from core.settings import PROJECT_FOLDER
from core.storage.triples import TripleStore
from tests.factories import make_triples
from tests.pages.finished_jobs import mapped


@pytest.fixture
def page(workspace):
    at = AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=20)
    return at.switch_page(str(PROJECT_FOLDER / "pages" / "explore.py"))


def words(at: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (at.markdown, at.text, at.caption) for element in kind)


def test_an_empty_workspace_says_what_to_do(page):
    page.run()
    assert not page.exception
    assert "No map yet" in words(page)


def test_the_form_offers_triples_and_the_demo_corpus(page, workbench):
    TripleStore(workbench.database).add(make_triples(5))
    page.run()
    assert not page.exception
    options = page.selectbox(key="explore-source").options
    assert options[0] == "All triples (5)"
    assert any(o.startswith("Python documentation") for o in options)
    assert page.multiselect(key="explore-models").value == ["raw", "baseline"]


def test_two_models_side_by_side(page, workbench):
    mapped(workbench, "raw", "baseline")
    page.run()
    assert not page.exception
    assert len(page.get("echarts_chart")) == 1
    assert "9 points" in words(page)
    assert (
        "change" in page.selectbox(key="explore-colour").options
        or "neighbours that changed" in page.selectbox(key="explore-colour").options
    )


def test_search_fills_the_table(page, workbench):
    mapped(workbench, "raw")
    page.run()
    page.text_input(key="explore-search").set_value("matter 2").run()
    assert not page.exception
    table = page.dataframe(key="explore-selected-table").value
    assert sorted(table["kind"]) == ["negative", "positive"]
    assert "2 match" in words(page)


def test_found_triples_are_rejected_with_a_reason_and_taken_back(page, workbench):
    mapped(workbench, "raw")
    page.run()
    page.text_input(key="explore-search").set_value("matter 2").run()
    page.selectbox(key="explore-selected-reason").set_value("duplicate").run()
    page.button(key="explore-selected-reject").click().run()
    assert not page.exception
    store = TripleStore(workbench.database)
    decided = [r for r in store.find() if r.standing.verdict is Verdict.REJECTED]
    assert [r.standing.reason for r in decided] == ["duplicate"]
    assert "matter 2" in decided[0].triple.texts.positive
    page.button(key="explore-selected-undo").click().run()
    assert not page.exception
    assert {r.standing.verdict for r in store.find()} == {Verdict.PENDING}


def test_flagging_sends_to_review(page, workbench):
    mapped(workbench, "raw")
    page.run()
    page.text_input(key="explore-search").set_value("matter 1").run()
    page.button(key="explore-selected-flag").click().run()
    assert not page.exception
    assert [r.standing.flagged for r in TripleStore(workbench.database).find()].count(True) == 1


def test_outliers_are_ordered_by_margin(page, workbench):
    mapped(workbench, "raw", "baseline")
    page.run()
    table = page.dataframe(key="explore-outliers-table").value
    column = next(c for c in table.columns if c.startswith("margin · Raw"))
    assert list(table[column]) == sorted(table[column])
    assert set(table["kind"]) == {"query"}
