from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.generation.checks.phrase_lists import PhraseList, lines_of
from core.generation.checks.phrases import CLOSERS, LEFTOVER_SIGNS, find_refusal
from core.generation.checks.triple_checks import check_triple
from tests.factories import make_triple

BODY = "Too much water takes the air from the roots. Let the soil dry before you water again."


def codes(text: str) -> set[str]:
    return {flag.code for flag in check_triple(make_triple(positive=text)) if flag.field == "positive"}


@pytest.mark.parametrize("text", [
    "I'm sorry, but I can't provide that.", "Je suis désolé, mais je ne peux pas vous aider.", "Es tut mir leid, aber ich kann das nicht.",
    "Lo siento, no puedo ayudar con eso.", "Mi dispiace, ma non posso aiutarti.", "Desculpe, mas não posso ajudar.",
    "Извините, но я не могу помочь.",
    "抱歉，我无法提供这样的内容。", "申し訳ありませんが、お手伝いできません。", "죄송합니다만 도와드릴 수 없습니다.",
    "آسف، لا أستطيع المساعدة.",
    "क्षमा करें, मैं मदद नहीं कर सकता।",
    "Xin lỗi, tôi không thể giúp.", "Maaf, saya tidak dapat membantu.", "ขออภัย ฉันไม่สามารถช่วยได้",
    "As an AI language model, I have no plants.",
])  # fmt: skip
def test_refusals_are_known_in_many_languages(text: str):
    assert find_refusal(text)


@pytest.mark.parametrize("text", [
    "The assistant answered “I'm sorry, but I can't help with that” and ended the chat.",
    "Unable to help the plant, the gardener dug it up.",
    BODY + " I'm sorry, but I can't come on Friday, she wrote in her diary that evening,",
])  # fmt: skip
def test_a_quoted_or_told_refusal_is_none(text: str):
    assert "refusal" not in codes(f"{BODY} {BODY} {BODY} {text}")


@pytest.mark.parametrize("text", [
    f"Sure! Here is a passage of 100 words:\n\n{BODY}", f"Certainly! Here's a document about plants: {BODY}",
    f"好的，以下是您要的文档：{BODY}",
    f"Bien sûr ! Voici un texte sur les plantes :\n{BODY}", f"Конечно! Вот документ по вашему запросу:\n{BODY}",
    f"{BODY} I hope this helps!",
    f"{BODY} Let me know if you would like another version.", f"{BODY} (Word count: 102)", f"{BODY} Espero que esto te ayude.",
    f"Positive document: {BODY}",
])  # fmt: skip
def test_words_of_a_chat_around_a_text_are_flagged(text: str):
    assert "boilerplate" in codes(text)


@pytest.mark.parametrize("text", [
    f"Dear [Your Name], {BODY}", f"[Insert title here]\n{BODY}", f"{BODY} Lorem ipsum dolor sit amet.", f"[COMPOSER NAME] wrote it. {BODY}",
    f"The user_query asks for it. {BODY}", f"Write {{num_words}} words. {BODY}",
])  # fmt: skip
def test_leftovers_of_a_form_are_flagged(text: str):
    assert "prompt_echo" in codes(text)


@pytest.mark.parametrize("text", [
    f"{BODY} This passage answers the user's query directly.", f"This document is relevant because it names the cause. {BODY}",
    f"{BODY} The passage is irrelevant to the question of yellow leaves.", f"本文针对用户的提问给出解答。{BODY}",
    f"{BODY} Damit beantwortet dieser Text die Suchanfrage vollständig.",
])  # fmt: skip
def test_talk_about_the_own_relevance_is_flagged(text: str):
    assert "meta_talk" in codes(text)


@pytest.mark.parametrize("text", [
    "The court asked whether the evidence was relevant. The judge answered the question on Monday.",
    "Relevant costs are those that differ between two decisions. Sunk costs are not among them.",
    f"Of course plants need water. {BODY}",
    "Here is where the river bends: a place for herons. They stand in the shallows all day.",
])  # fmt: skip
def test_ordinary_prose_is_left_alone(text: str):
    assert codes(text) & {"meta_talk", "boilerplate", "refusal", "prompt_echo"} == set()


@pytest.mark.parametrize(
    "name", ["asked", "closers", "fits", "here", "leftovers", "of_a_model", "question", "refusals", "self", "work", "yes"]
)
def test_every_expression_is_written_in_small_letters(name: str):
    for line in lines_of(name):
        plain = re.sub(r"\\.", "", line)
        assert plain == plain.lower(), line


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_leftover_holds_one_of_the_signs_that_are_looked_for_first(data: st.DataObject):
    found = data.draw(st.from_regex(data.draw(st.sampled_from(lines_of("leftovers")))))
    assert any(sign in found for sign in LEFTOVER_SIGNS)


def test_the_first_of_many_expressions_is_found_in_any_script_and_only_where_a_word_begins():
    phrases = PhraseList([r"\bsorry\b", "對不起", r"\bизвините"])
    assert [bool(phrases.search(text)) for text in ("so sorry", "我對不起你", "ну извините", "unsorry", "ok")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_closing_offer_counts_at_the_end_only():
    assert CLOSERS.search("let me know if you need more")
    assert "boilerplate" not in codes("Let me know if you come, she wrote. " + BODY * 6)
