from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.spans import Change, changes, copied_spans


def test_three_words_in_a_row_are_a_copy_whatever_their_case():
    text = "Learn HOW DO I stop"
    assert [text[a:b] for a, b in copied_spans("how do I leave", text)] == ["HOW DO I"]


def test_two_words_are_not():
    assert copied_spans("how do I leave", "how do we leave") == []


def test_overlapping_runs_are_one_span():
    text = "a how do I stop a loop b"
    assert [text[a:b] for a, b in copied_spans("how do I stop a loop", text)] == ["how do I stop a loop"]


def test_chinese_counts_by_character():
    text = "如果叶子变黄了怎么办"
    assert [text[a:b] for a, b in copied_spans("叶子变黄了怎么回事", text)] == ["叶子变黄了怎么"]
    assert copied_spans("叶子变黄", "叶子变黄") == []


def test_spans_are_ordered_and_apart():
    spans = copied_spans("one two three four five six", "one two three, x, four five six")
    assert spans == [(0, 13), (18, 31)]


@given(st.text(), st.text())
def test_changes_give_both_texts_back(before: str, after: str):
    found = changes(before, after)
    assert "".join(piece for kind, piece in found if kind is not Change.ADDED) == before
    assert "".join(piece for kind, piece in found if kind is not Change.REMOVED) == after


def test_only_the_changed_word_is_marked():
    assert changes("a red leaf", "a green leaf") == [
        (Change.SAME, "a "), (Change.REMOVED, "red"), (Change.ADDED, "green"), (Change.SAME, " leaf"),
    ]  # fmt: skip


def test_a_text_that_was_put_in_anothers_place_is_one_removed_and_one_added():
    before = "Move it in spring to a container one size larger, and water it well until the roots have filled the pot."
    after = "The water that reaches the kitchen from chalk is hard, and tea that is brewed in it tastes flat to most people."
    assert changes(before, after) == [(Change.REMOVED, before), (Change.ADDED, after)]


def test_a_shortened_text_is_still_shown_word_by_word():
    before = "Move it in spring to a container one size larger, and water it well until the roots have filled the pot."
    assert changes(before, before[:48]) == [(Change.SAME, before[:48]), (Change.REMOVED, before[48:])]
