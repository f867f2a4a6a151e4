"""Review with several people: disputes, agreement, blindness, conflicts, and undo of any step."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.people import ReviewRules
from core.domain.review import Action
from core.domain.triple import Texts, Verdict
from core.storage.triples import TripleStore
from core.workbench import Workbench
from pages.ui.widgets import plain, plain_badge
from tests.factories import make_triples
from tests.pages.test_review_page import card, open_page, press


@pytest.fixture
def two(workbench: Workbench) -> list[str]:
    return TripleStore(workbench.database).add(make_triples(2)).added


def by_two(workbench: Workbench) -> None:
    workbench.review.team.set_rules(ReviewRules(overlap_share=1.0, readers=2))


def open_view(app: AppTest, view: str) -> AppTest:
    app.segmented_control(key="view").set_value(view)
    return app.run()


def words(app: AppTest) -> str:
    return "\n".join([m.value for m in app.markdown] + [c.value for c in app.caption])


def test_two_browsers_of_one_name_get_different_cards(workspace: Path, workbench: Workbench, two: list[str]):
    first, second = open_page(workspace), open_page(workspace)
    assert [card(first), card(second)] == two
    press(first, "accept")
    assert "queue is empty" not in words(second)
    assert "card" not in first.query_params  # the only card left lies on the other desk


def test_a_linked_card_that_somebody_reads_names_them(workspace: Path, workbench: Workbench, two: list[str]):
    from core.domain.filters import ReviewQueue

    workbench.review.take_card(two[0], ReviewQueue(reviewer="bob", holder="elsewhere"))
    app = open_page(workspace, card=two[0])
    assert "bob has this card on the desk" in app.info[0].value


def test_the_edit_form_keeps_what_was_typed_when_somebody_was_faster(workspace: Path, workbench: Workbench, two: list[str]):
    app = press(open_page(workspace), "edit")
    app.text_area(key=f"edit-query-{two[0]}").set_value("my long thoughts")
    before = workbench.review.card(two[0]).texts
    workbench.review.decide(two[0], Action.EDIT, "bob", texts=Texts("bob's question", before.positive, before.negative))
    app.button(key="save-edit").click().run()
    assert "bob changed the texts" in app.error[0].value
    assert app.text_area(key=f"edit-query-{two[0]}").value == "my long thoughts"
    assert "Changed by somebody else while you were writing" in words(app)
    assert any("bob" in h.value and "<ins" in h.value for h in app.html)
    assert workbench.review.card(two[0]).texts.query == "bob's question"
    press(app, "save-edit")  # knowingly now
    assert workbench.review.card(two[0]).texts.query == "my long thoughts"
    assert [d.reviewer for d in workbench.review.history(two[0])] == ["bob", "me"]


def test_the_list_of_steps_names_what_each_was_about(workspace: Path, workbench: Workbench, two: list[str]):
    app = press(press(open_page(workspace), "accept"), "last-steps")
    assert "question number 0" in words(app)
    assert app.button(key=f"undo-step-{workbench.review.steps('me')[0].first_id}")


def test_the_second_reader_sees_nothing_of_the_first_until_both_have_decided(workspace: Path, workbench: Workbench, two: list[str]):
    by_two(workbench)
    workbench.review.decide(two[0], Action.REJECT, "bob", reason="wrong language")
    app = open_page(workspace)
    assert card(app) == two[0]
    assert "somebody read it" in words(app)
    assert "bob" not in words(app)
    assert "wrong language" not in words(app)
    press(app, "accept")
    app = open_page(workspace, card=two[0])
    assert "bob" in "".join(m.proto.body for m in app.markdown)
    assert "The readers differ" in words(app)


def test_a_dispute_is_settled_in_its_own_view(workspace: Path, workbench: Workbench, two: list[str]):
    by_two(workbench)
    workbench.review.decide(two[1], Action.ACCEPT, "ann")
    workbench.review.decide(two[1], Action.REJECT, "bob", reason="duplicate")
    app = open_page(workspace, view="Disputes")
    assert card(app) == two[1]
    assert "The readers differ" in words(app)
    assert "duplicate" in words(app)
    press(app, "accept")
    assert workbench.review.card(two[1]).standing.verdict is Verdict.ACCEPTED
    assert "No dispute waits" in words(app)
    assert workbench.review.history(two[1])[-1].adjudicates


def test_people_shows_rules_agreement_and_the_cases(workspace: Path, workbench: Workbench, two: list[str]):
    app = open_page(workspace, view="People")
    assert "No triple was read by two people yet" in words(app)
    app.number_input(key="rule-share").set_value(100.0)
    app.button(key="save-rules").click().run()
    assert workbench.review.team.rules().overlap_share == 1
    for triple, verdict in zip(two, (Action.ACCEPT, Action.REJECT), strict=True):
        workbench.review.decide(triple, Action.ACCEPT, "ann")
        workbench.review.decide(triple, verdict, "bob", reason="duplicate")
    app = open_page(workspace, view="People")
    assert "Krippendorff's alpha **0.00" in words(app)  # by hand: 1 - (2/4) / (6/12)
    assert "2 triples, 2 reviewers" in words(app)
    assert app.dataframe[0].value.to_dict("records") == [
        {
            "reviewers": "ann and bob",
            "n read by both": 2,
            "same verdict": "1 (50%)",
            "Cohen's kappa (95 % interval)": "0.00 (n = 2: too few for an interval)",
        }
    ]
    assert "1 of 2 triples" in words(app)
    assert list(app.dataframe[1].value["verdicts"]) == ["ann: accepted; bob: rejected (duplicate)"]


def test_a_name_given_under_people_signs_what_comes(workspace: Path, workbench: Workbench, two: list[str]):
    app = open_page(workspace, view="People")
    app.text_input(key="people-name").set_value("dora").run()
    press(open_view(app, "Queue"), "accept")
    assert workbench.review.history(two[0])[0].reviewer == "dora"


def test_an_address_in_the_data_becomes_no_link_and_brackets_in_a_badge_keep_no_backslash():
    # Markdown links bare addresses whatever is escaped; a word joiner (U+2060) inside shows nothing and prevents it.
    assert plain("https://a.b www.c.d e@f.g") == "http\u2060s\\://a\\.b www\u2060\\.c\\.d e\u2060@f\\.g"
    assert plain_badge("[a]*") == "[a]\\*"
