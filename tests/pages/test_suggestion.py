"""The card says what one's own verdicts suggest, and why; data in the reasons is text."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _card() -> None:
    from core.domain.review import TripleRecord
    from core.review.ordering import Suggestion
    from pages.ui.triple_card import show_card
    from tests.factories import make_triple

    reasons = ("The positive is **odd** (you rejected 20 of 24 such)", "you rejected 30 of 40 in sts")
    show_card(TripleRecord(make_triple(), 1), suggestion=Suggestion(0.82, reasons, 63))


def test_a_suggestion_is_shown_with_its_reasons() -> None:
    page = AppTest.from_function(_card).run()
    assert not page.exception
    told = [markdown.value for markdown in page.markdown if "Suggestion" in markdown.value]
    assert len(told) == 1
    assert "Suggestion from your 63 verdicts: reject (82%)" in told[0]
    assert "\\*\\*odd\\*\\*" in told[0]
    assert "you rejected 30 of 40 in sts" in told[0].replace("\\", "")
