from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.filters import TripleFilter
from core.domain.review import Action
from core.domain.triple import Verdict
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triple, make_triples

PAGES = Path(__file__).resolve().parents[2] / "pages"
ACCEPTED = TripleFilter(verdict=Verdict.ACCEPTED)


def open_page(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "shell.py"), default_timeout=20).run()
    app.switch_page(str(PAGES / "dataset.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


@pytest.fixture
def many(workbench: Workbench) -> list[str]:
    return TripleStore(workbench.database).add(make_triples(60, tasks=6)).added


def test_an_empty_dataset_points_on(workspace: Path, workbench: Workbench):
    app = open_page()
    assert any("no triples yet" in m.value for m in app.markdown)
    app.button(key="load-starter").click().run()
    assert workbench.dataset.count() >= 150
    assert len(app.dataframe[0].value) == 50


def test_the_table_is_paged_and_filtered(workspace: Path, many: list[str]):
    app = open_page()
    assert list(app.dataframe[0].value["no."])[:2] == [1, 2]
    assert any("1 to 50 of 60" in c.value for c in app.caption)
    app.get_by_key("page").set_value(2).run()
    assert list(app.dataframe[0].value["no."]) == list(range(51, 61))
    app.text_input(key="text").set_value("question number 59").run()
    assert list(app.dataframe[0].value["no."]) == [60]
    app.text_input(key="text").set_value("nowhere").run()
    assert any("No triple passes" in m.value for m in app.markdown)


def test_all_that_pass_are_accepted_and_undone_as_one(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(text="subject 2")
    assert app.button(key="bulk-accept").disabled
    app.get_by_key("scope").set_value("all").run()
    app.button(key="bulk-accept").click().run()
    assert not app.exception
    assert workbench.dataset.count(ACCEPTED) == 10
    (step,) = workbench.review.steps("me")
    app.button(key=f"undo-{step.first_id}").click().run()
    assert not app.exception
    assert workbench.dataset.count(ACCEPTED) == 0


def test_one_triple_is_followed_from_its_decisions_to_its_version(workspace: Path, workbench: Workbench, many: list[str]):
    workbench.review.decide(many[0], Action.ACCEPT, "ann")
    workbench.dataset.freeze("first version")
    app = open_page(triple=many[0])
    words = " ".join(m.value for m in app.markdown)
    assert "**ann** accept" in words
    assert "first version" in words


def test_freezing_shows_the_split_before_and_the_version_after(workspace: Path, workbench: Workbench, many: list[str]):
    workbench.review.bulk(many, Action.ACCEPT, "ann")
    app = open_page(section="Versions")
    assert [m.value for m in app.metric][:2] == ["50", "10"]  # one of six tasks is held out
    app.slider(key="freeze-share").set_value(0.5).run()
    assert [m.value for m in app.metric][:2] == ["30", "30"]
    app.button(key="freeze").click().run()
    assert not app.exception
    (version,) = workbench.dataset.versions()
    assert (version.name, version.train_count, version.heldout_count) == ("v1", 30, 30)
    assert version.content_hash[:16] in [h for table in app.dataframe for h in table.value.get("content hash", [])]
    app.text_input(key="freeze-name").set_value("v1").run()
    app.button(key="freeze").click().run()
    assert "exists" in app.error[0].value
    assert len(workbench.dataset.versions()) == 1


def test_nothing_accepted_points_to_review(workspace: Path, many: list[str]):
    app = open_page(section="Versions")
    assert any("Nothing is accepted yet" in m.value for m in app.markdown)


def test_a_file_comes_in_with_a_report_on_its_bad_rows(workspace: Path, workbench: Workbench):
    row = {"group": "short-long", "task": "T", "query": "q", "positive": "p", "negative": "n"}
    app = open_page(section="Import and export")
    app.file_uploader(key="import-file").upload("rows.jsonl", f"{json.dumps(row)}\nbroken <b>\n".encode()).run()
    app.button(key="import").click().run()
    assert not app.exception
    assert workbench.dataset.count() == 1
    assert list(app.dataframe[0].value["line"]) == [2]
    assert [m.value for m in app.metric] == ["1", "0", "0", "1"]


def test_a_file_of_bad_rows_gives_message_and_hint_and_keeps_what_was_there(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(section="Import and export")
    app.file_uploader(key="import-file").upload("rows.jsonl", b"nonsense").run()
    app.button(key="import").click().run()
    assert "No row can be used" in app.error[0].value
    assert "What to do" in app.error[0].value
    assert workbench.dataset.count() == 60


def test_the_shape_draws_whatever_the_names(workspace: Path, workbench: Workbench):
    TripleStore(workbench.database).add([make_triple(language="<b>x</b>", topic="$x$"), make_triple("two", topic="")])
    app = open_page(section="Shape")
    assert len(app.get("vega_lite_chart")) == 3
