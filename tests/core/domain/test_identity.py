from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.identity import ID_LENGTH, content_id, has_half_character, normalise, plan_hash
from tests.factories import make_triple


def test_spacing_and_composition_do_not_change_an_id():
    assert content_id("caf\u00e9  au lait\n") == content_id("cafe\u0301 au lait")


def test_case_and_the_place_of_a_text_do():
    assert content_id("A") != content_id("a")
    assert content_id("a", "b") != content_id("b", "a")


def test_no_text_and_a_blank_text_differ():
    assert content_id("a", None) != content_id("a", "")
    assert make_triple(negative=None).id != make_triple(negative="").id


def test_the_borders_between_texts_count():
    assert content_id("ab", "c") != content_id("a", "bc")


@given(st.text())
def test_normalise_is_idempotent(text: str):
    assert normalise(normalise(text)) == normalise(text)


def test_a_plan_hash_ignores_the_order_of_keys():
    assert plan_hash({"a": 1, "b": [1, 2]}) == plan_hash({"b": [1, 2], "a": 1})
    assert plan_hash({"b": [2, 1]}) != plan_hash({"b": [1, 2]})


def test_slots_and_source_are_no_part_of_a_triples_id():
    assert make_triple(slots={"num_words": 50}, source="import").id == make_triple().id
    assert len(make_triple().id) == ID_LENGTH


def test_half_a_character_is_noticed() -> None:
    assert has_half_character("a\ud83d")
    assert not has_half_character("a\U0001f600 中")
