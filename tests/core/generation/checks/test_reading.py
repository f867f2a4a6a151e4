"""How texts are read: letters, small words, sentences, and the quick ways that must give what the slow ones give."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.languages import LANGUAGES
from core.generation.checks.common_words import speaks, speaks_none, spoken_instead
from core.generation.checks.letters import SCRIPT_WORDS, letters_of
from core.generation.checks.phrase_lists import lines_of
from core.generation.checks.words import folded, gram_similarity, sentences, similarity_from, tokens, unquoted

FRENCH = "Les feuilles jaunissent quand la plante reçoit trop d'eau et que ses racines manquent d'air."


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_texts_are_folded_by_table_as_others_are_by_rule(text: str):
    assert folded(text) == " ".join(re.sub(r"[^\w\s]", " ", unicodedata.normalize("NFC", text).casefold()).split())


@given(st.text(max_size=60))
def test_letters_are_counted_one_by_one(text: str):
    found = letters_of(text)
    assert found.count == sum(map(str.isalpha, text)) == sum(found.scripts.values())


def test_letters_have_scripts_and_the_first_is_known():
    found = letters_of("Ж and 植物, ок")
    assert (found.first, dict(found.scripts)) == ("CYRILLIC", {"CYRILLIC": 3, "LATIN": 3, "CJK": 2})
    assert found.of("植Ж") == 2


def test_every_language_has_a_script_that_letters_can_be_counted_in():
    assert {language.script for language in LANGUAGES.values()} <= set(SCRIPT_WORDS)


@pytest.mark.parametrize(("text", "expected"), [
    ("One. Two! 3.5 is three.\n\nFour", ("One.", "Two!", "3.5 is three.", "Four")),
    ("He said “no.” Then he left…", ("He said “no.”", "Then he left…")),
    ("一。二？三", ("一。", "二？", "三")),
    ("", ()),
])  # fmt: skip
def test_sentences_end_at_their_marks(text: str, expected: tuple[str, ...]):
    assert sentences(text) == expected


def test_quoted_words_are_taken_out_and_apostrophes_stay():
    assert unquoted("It's the plant's “own” 'word' here") == "It's the plant's     here"
    assert unquoted("It's the plant's") == "It's the plant's"


def test_tokens_are_words_or_the_characters_of_a_script_without_spaces():
    assert tokens("Use 植物, now") == ("use", "植", "物", "now")
    assert tokens("Use it, now") == ("use", "it", "now")


@given(st.text("abc ", max_size=200), st.text("abc ", max_size=200), st.sampled_from([0.55, 0.9]))
def test_the_quick_look_at_likeness_gives_the_likeness_or_nothing(one: str, other: str, least: float):
    exact = gram_similarity(one, other)
    assert similarity_from(one, other, least) in (exact, 0.0)
    if exact >= 0.95:
        assert similarity_from(one, other, least) == exact


def test_texts_alike_at_the_threshold_pass_the_quick_look():
    one = " ".join(f"word{i}" for i in range(80))
    other = one.replace("word2", "ward2")  # every word with a 2 in front: a seventh of them
    assert similarity_from(one, other, 0.55) == gram_similarity(one, other) > 0.55


def test_small_words_tell_languages_apart():
    assert speaks(FRENCH, "fr")
    assert not speaks(FRENCH, "es")
    assert spoken_instead(FRENCH, "es") == "fr"
    assert spoken_instead(FRENCH, "fr") == ""
    assert speaks_none("Wavuvi walirudi pwani mapema sana jana jioni", "en")
    assert not speaks_none("too short", "fr")
    unlisted = (speaks(FRENCH, "tlh"), spoken_instead(FRENCH, "tlh"), speaks_none(FRENCH, "tlh"))
    assert not any(unlisted)


def test_languages_of_word_lists_stand_once_and_are_known():
    known = {language.code.split("-")[0] for language in LANGUAGES.values()} | {"tl"}
    for name in ("common_words", "light_words"):
        codes = [line.partition(":")[0] for line in lines_of(name)]
        assert len(codes) == len(set(codes))
        assert set(codes) <= known
