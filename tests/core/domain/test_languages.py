from __future__ import annotations

import pytest

from core.domain.languages import LANGUAGES, check_weights, find_language, paper_weights
from core.errors import BadPlan, NotFound


def test_the_table_has_100_languages_whose_weights_sum_to_one():
    assert len(LANGUAGES) == 100
    assert sum(paper_weights().values()) == pytest.approx(1.0)


def test_weights_are_those_of_the_open_reproduction():
    weights = paper_weights()
    assert weights["English"] == 0.431
    assert [weights[n] for n in ("French", "Japanese", "Chinese (Simplified)")] == [0.029] * 3
    assert weights["Xhosa"] == pytest.approx(0.192 / 86)  # 100 less English and the thirteen


def test_languages_are_found_by_name_and_code_whatever_the_case():
    assert find_language("french").code == "fr"
    assert find_language("ZH-HANS").name == "Chinese (Simplified)"


def test_an_unknown_language_is_refused_with_close_names():
    with pytest.raises(NotFound) as caught:
        find_language("Chinese")
    assert "Chinese (Simplified)" in caught.value.hint
    with pytest.raises(NotFound):
        check_weights({"french": 1.0, "Klingon": 1.0})
    with pytest.raises(BadPlan):
        check_weights({"French": 0.0})


def test_romanized_and_spaceless_languages_are_known_as_such():
    assert LANGUAGES["Hindi Romanized"].romanized
    assert not LANGUAGES["Hindi"].romanized
    assert LANGUAGES["Thai"].characters_a_word == 5.0
    assert LANGUAGES["French"].characters_a_word is None
