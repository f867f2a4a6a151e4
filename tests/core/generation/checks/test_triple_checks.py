from __future__ import annotations

import pytest

from core.domain.groups import TaskGroup
from core.domain.languages import count_words
from core.domain.triple import Triple
from core.generation.checks.language_mismatch import find_mismatch
from core.generation.checks.triple_checks import check_triple
from core.generation.checks.words import gram_similarity
from tests.factories import make_triple

FRENCH = "Les feuilles jaunissent souvent quand la plante reçoit trop d'eau et que ses racines manquent d'air pendant longtemps."
HAUSA = "Ina kwana, yaya gida da iyali? Muna godiya ga Allah, kowa yana lafiya kuma aikin gona yana tafiya sosai a bana."
TRADITIONAL = "這個問題我們來說明，學生們過去沒有讀書的時間，後來國家開會讓他們認識書。"


def codes(triple: Triple) -> set[tuple[str, str]]:
    return {(flag.code, flag.field) for flag in check_triple(triple)}


def test_a_good_triple_has_no_flag():
    assert check_triple(make_triple()) == []


def test_a_field_in_another_language_is_flagged_with_evidence():
    [flag] = check_triple(make_triple(positive=FRENCH))
    assert (flag.code, flag.field) == ("wrong_language", "positive")
    assert "French" in flag.message
    assert flag.weight > 0.7


def test_documents_are_checked_against_the_target_language():
    triple = make_triple(positive=FRENCH, negative=None, group=TaskGroup.BITEXT, target_language="French")
    assert codes(triple) == set()


@pytest.mark.parametrize(("text", "language", "wrong"), [
    (FRENCH, "French", False),
    (FRENCH, "German", True),
    (HAUSA, "Hausa", False),  # unknown to fastText
    ("Das ist ein langer deutscher Satz über die Pflege von Pflanzen im Winter.", "Hausa", True),
    (TRADITIONAL, "Chinese (Traditional)", False),
    (TRADITIONAL, "Chinese (Simplified)", True),
    ("植物の葉が黄色くなるのは水のやりすぎが原因です。", "Japanese", False),
    ("植物の葉が黄色くなるのは水のやりすぎが原因です。", "Chinese (Simplified)", True),
    ("This is plainly an English sentence about watering plants in winter.", "Hindi Romanized", True),
    ("Paudhon ko sardiyon mein kitna paani dena chahiye aur kab dena chahiye bataiye", "Hindi Romanized", False),
    ("Plants need water every week in summer but rarely in winter.", "Hindi", True),
    ("Планинарите често носат топла облека и карта на патеките.", "Macedonian", False),
    ("ok", "French", False),  # too short to tell
    ("地铁车厢里的图书", "Japanese", True),  # characters that Japanese does not write
    ("満員電車", "Japanese", False),
    ("這個問題我們", "Chinese (Simplified)", True),
    ("蜂蜜的颜色", "English", True),  # short, but in a script that is no name in English
    ("HTTP 404", "Chinese (Simplified)", False),
    ("why is my leaf so yellow", "French", True),  # short, by its small words
    ("नहर से गाद निकालने के काम में लगे हुए ग्रामीण लोग", "Nepali", True),  # Hindi, by the words that only Hindi has
    ("नहरको गेग्रान निकाल्न जुटेका गाउँलेहरू", "Nepali", False),
    ("Wavuvi walirudi pwani mapema kwa sababu bahari ilichafuka na upepo ulikuwa mkali.", "English", True),  # detectors are unsure of it
    (FRENCH, "Klingon", False),
])  # fmt: skip
def test_languages_are_told_apart_and_doubt_is_not_held_against_a_text(text: str, language: str, wrong: bool):
    assert (find_mismatch(text, language) is not None) is wrong


def test_a_document_is_short_when_it_is_clearly_below_what_was_asked():
    long = " ".join(f"word{i}" for i in range(85))
    triple = make_triple(positive=long, negative="word " * 30 + "end", slots={"num_words": 100})
    flags = {flag.field: flag for flag in check_triple(triple) if flag.code == "too_short"}
    assert set(flags) == {"negative"}  # 85 of 100 words are within the slack, 31 are not
    assert flags["negative"].weight == pytest.approx(0.2 + 0.5 * 0.69, abs=0.01)


def test_length_counts_characters_where_words_have_no_spaces():
    assert count_words("植" * 160, "Chinese (Simplified)") == 100
    assert count_words("one two three", "English") == 3


def test_a_query_longer_than_asked_is_flagged():
    triple = make_triple("why do the leaves of my old ginkgo turn yellow so early", slots={"query_length": "less than 5 words"})
    assert ("too_long", "query") in codes(triple)


def test_a_copied_query_is_flagged_whatever_its_case():
    triple = make_triple(positive="You ask: WHY DO LEAVES TURN YELLOW? Too much water.")
    assert codes(triple) == {("copied_query", "positive")}


def test_eight_words_in_a_row_are_a_copy_and_seven_are_not():
    query = "one two three four five six seven eight nine ten in some other order"
    eight = make_triple(query, positive="Here one two three four five six seven eight stands.", negative=None)
    seven = make_triple(query, positive="Here one two three four five six seven stands.", negative=None)
    assert ("copied_query", "positive") in codes(eight)
    assert ("copied_query", "positive") not in codes(seven)


def test_near_identical_documents_are_flagged():
    text = "Too much water takes the air from the roots of the plant, and the foliage slowly loses its green."
    assert ("near_identical", "negative") in codes(make_triple(positive=text, negative=text.replace("slowly ", "")))


def test_gram_similarity_by_hand():
    # "abcdef" has abcde, bcdef; "abcdeg" has abcde, bcdeg: one of three
    assert gram_similarity("abcdef", "abcdeg") == pytest.approx(1 / 3)
    assert gram_similarity("Abc, def!", "abc def") == 1.0
    assert gram_similarity("", "") == 0.0


@pytest.mark.parametrize(("text", "code"), [
    ("I'm sorry, but I can't help with that request at all.", "refusal"),
    ("As an AI language model, I do not keep plants.", "refusal"),
    ("This document is relevant because it names the cause.", "meta_talk"),
    ("The hard_negative_document should say {num_words} words.", "prompt_echo"),
    (" S2\n", "prompt_echo"),
])  # fmt: skip
def test_refusals_meta_talk_and_echoes_are_flagged(text: str, code: str):
    assert (code, "positive") in codes(make_triple(positive=text))


def test_a_label_in_the_input_text_is_a_leak_but_a_part_of_a_word_is_none():
    leak = make_triple("This is urgent, the water is everywhere.", "Urgent", "routine", group=TaskGroup.LONG_SHORT)
    part = make_triple("The artful insurgents came by boat today.", "art", "urgent", group=TaskGroup.LONG_SHORT)
    assert ("label_leak", "positive") in codes(leak)
    assert not {code for code, _ in codes(part)} & {"label_leak"}


def test_a_text_that_goes_in_circles_is_flagged():
    assert ("repetitive", "positive") in codes(make_triple(positive="water the plant again " * 12))
