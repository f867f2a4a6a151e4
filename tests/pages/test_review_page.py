from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.filters import EVERYTHING
from core.domain.review import Action, RejectReason
from core.domain.triple import Flag, Texts, Verdict
from core.storage.triples import TripleStore
from core.workbench import Workbench
from pages.ui.triple_card import text_html
from tests.factories import make_triple, make_triples

PAGES = Path(__file__).resolve().parents[2] / "pages"
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> **bold** $x^2$ [link](http://a.b) \u202eesrever\u202c \x07bell"


def open_page(workspace: Path, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "shell.py"), default_timeout=20).run()
    app.switch_page(str(PAGES / "review.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    assert not app.error, [e.value for e in app.error]
    return app


def card(app: AppTest) -> str:
    value = app.query_params["card"]
    return value if isinstance(value, str) else value[0]


@pytest.fixture
def three(workbench: Workbench) -> list[str]:
    return TripleStore(workbench.database).add(make_triples(3)).added


def test_an_empty_workspace_points_to_generate_and_the_starter_set(workspace: Path, workbench: Workbench):
    app = open_page(workspace)
    assert any("no triples yet" in m.value for m in app.markdown)
    press(app, "load-starter")
    assert workbench.review.card(card(app)).standing.verdict is Verdict.PENDING


def test_accept_shows_the_next_card_and_undo_the_last_one(workspace: Path, workbench: Workbench, three: list[str]):
    app = open_page(workspace)
    assert card(app) == three[0]
    press(app, "accept")
    assert card(app) == three[1]
    assert workbench.review.card(three[0]).standing.verdict is Verdict.ACCEPTED
    press(app, "undo")
    assert card(app) == three[0]
    assert workbench.review.card(three[0]).standing.verdict is Verdict.PENDING


def test_reject_asks_for_a_reason_first(workspace: Path, workbench: Workbench, three: list[str]):
    app = press(open_page(workspace), "reject")
    assert card(app) == three[0]
    assert workbench.review.history(three[0]) == []
    press(app, "reason-3")
    assert card(app) == three[1]
    assert workbench.review.card(three[0]).standing.reason == RejectReason.TOO_EASY
    press(press(app, "reject"), "cancel-reject")
    assert workbench.review.history(three[1]) == []
    assert app.button(key="accept")


def test_skip_next_previous_swap_and_flag(workspace: Path, workbench: Workbench, three: list[str]):
    app = press(open_page(workspace), "next")
    assert card(app) == three[1]
    press(app, "previous")
    press(app, "swap")
    record = workbench.review.card(three[0])
    assert record.texts.positive == record.triple.texts.negative
    press(app, "flag-it")
    assert workbench.review.card(three[0]).standing.flagged
    press(app, "skip")
    press(press(app, "accept"), "accept")
    assert any("queue is empty" in m.value for m in app.markdown)
    assert any("skipped 1 triple" in c.value for c in app.caption)


def test_an_edit_is_saved_and_a_blank_one_refused_without_losing_the_card(workspace: Path, workbench: Workbench, three: list[str]):
    app = press(open_page(workspace), "edit")
    app.text_area(key=f"edit-query-{three[0]}").set_value("   ")
    app.button(key="save-edit").click().run()
    assert "query is blank" in app.error[0].value
    assert workbench.review.history(three[0]) == []
    app.text_area(key=f"edit-query-{three[0]}").set_value("a better question")
    app.button(key="save-edit").click().run()
    assert not app.error
    record = workbench.review.card(three[0])
    assert record.texts.query == "a better question"
    assert record.triple.texts.query != "a better question"
    assert card(app) == three[0]
    assert any("<ins" in h.value for h in app.html)


def test_filters_come_from_the_address_and_survive_a_decision(workspace: Path, workbench: Workbench):
    ids = TripleStore(workbench.database).add([*make_triples(4), *make_triples(2, language="German")]).added
    german = TripleStore(workbench.database).add([make_triple(f"frage {i}", language="German") for i in range(3)]).added
    app = open_page(workspace, language="German")
    assert card(app) == german[0]
    press(app, "accept")
    assert card(app) == german[1]
    assert app.multiselect(key="language").value == ["German"]
    assert ids[0] not in {german[0], card(app)}


def test_what_somebody_else_decided_meanwhile_is_told_and_kept(workspace: Path, workbench: Workbench, three: list[str]):
    app = open_page(workspace)
    workbench.review.decide(three[0], Action.REJECT, "bob", reason="duplicate")
    app.button(key="accept").click().run()
    assert "bob rejected this triple in the meantime" in app.error[0].value
    assert workbench.review.card(three[0]).standing.verdict is Verdict.REJECTED


def test_more_like_this_are_decided_together_and_undone_as_one(workspace: Path, workbench: Workbench):
    triples = make_triples(5, tasks=1)
    TripleStore(workbench.database).add(triples, {t.id: [Flag("odd", "This is odd.", "query", 0.5)] for t in triples[:4]})
    app = press(press(open_page(workspace), "reject"), "reason-5")
    assert any("3 more look like" in m.value for m in app.markdown)
    press(app, "alike-apply")
    assert workbench.review.counts_by("verdict", EVERYTHING) == {"rejected": 4, "pending": 1}
    press(app, "undo")
    assert workbench.review.counts_by("verdict", EVERYTHING) == {"pending": 4, "rejected": 1}


def test_data_is_shown_as_text_and_never_as_markup(workspace: Path, workbench: Workbench):
    triple = make_triple(
        HOSTILE, HOSTILE + " end", HOSTILE + " other", task=f"Task {HOSTILE}", topic=HOSTILE, language=HOSTILE, source=HOSTILE
    )
    TripleStore(workbench.database).add([triple], {triple.id: [Flag("odd", HOSTILE, "query", 0.5)]})
    app = open_page(workspace)
    shown = "".join(h.value for h in app.html)
    assert "<script>alert" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "\u202e" not in shown
    assert "⟨U+202E⟩" in shown
    assert "⟨U+0007⟩" in shown
    for words in [m.value for m in app.markdown] + [c.value for c in app.caption]:
        assert "**bold**" not in words
        assert "](http" not in words
        assert "<script" not in words.replace("\\<", "")


def test_marked_pieces_are_escaped_one_by_one():
    text = "a <b> & c"
    assert text_html(text, [(2, 5)]).count("&lt;b&gt;</mark> &amp; c") == 1


def test_a_card_that_does_not_exist_is_told_and_the_queue_goes_on(workspace: Path, three: list[str]):
    app = AppTest.from_file(str(PAGES / "shell.py"), default_timeout=20).run()
    app.switch_page(str(PAGES / "review.py"))
    app.query_params["card"] = "nothing"
    app.run()
    assert "no triple nothing" in app.error[0].value
    assert card(app) == three[0]


def test_a_decided_card_can_be_linked_to_and_its_verdict_changed(workspace: Path, workbench: Workbench, three: list[str]):
    workbench.review.decide(three[2], Action.REJECT, "bob", reason="duplicate")
    app = open_page(workspace, card=three[2])
    assert card(app) == three[2]
    press(app, "accept")
    assert workbench.review.card(three[2]).standing.verdict is Verdict.ACCEPTED


def test_a_triple_without_a_negative_has_two_columns_and_no_swap(workspace: Path, workbench: Workbench):
    TripleStore(workbench.database).add([make_triple(negative=None)])
    app = open_page(workspace)
    assert app.button(key="swap").disabled
    assert workbench.review.card(card(app)).texts == Texts(make_triple().texts.query, make_triple().texts.positive, None)
