"""Labels, endings, copies and parts in another language."""

from __future__ import annotations

import pytest

from core.domain.checks import DEFAULT_THRESHOLDS
from core.domain.groups import TaskGroup
from core.generation.checks.copies import copied_run, may_copy, reworded_opening
from core.generation.checks.endings import cut_weight
from core.generation.checks.labels import find_label
from core.generation.checks.language_mismatch import find_foreign_part
from core.generation.checks.triple_checks import check_triple
from core.generation.checks.words import gram_similarity, tokens
from tests.factories import make_triple

PROSE = "Too much water takes the air from the roots. The leaves turn yellow. Let the soil dry before you water again"


@pytest.mark.parametrize(("text", "label", "found"), [
    ("So relieved, I finally slept.", "relief", "relieved"),
    ("I went all nostalgic.", "nostalgia", "nostalgic"),
    ("As computational linguists, we compare.", "computational linguistics", "computational linguists"),
    ("I would like to start my claim for loss now.", "claim for damage or loss", "claim for loss"),
    ("Ностальгическая вещь.", "ностальгическое", "ностальгическая"),
    ("Sorum sağlıkla ilgili.", "sağlık", "sağlıkla"),
    ("思うと不安でたまらない", "不安", "不安"),
    ("나는 불안해서 잠을 못 잤다", "불안", "불안해서"),
    ("Every morning I water the plants.", "everyday use", ""),
    ("The artful insurgents came.", "art", ""),
    ("The charger is broken.", "charge", "charger"),
    ("We made a statement about the state.", "estate", ""),
])  # fmt: skip
def test_a_label_is_found_in_its_forms(text: str, label: str, found: str):
    assert find_label(text, label) == found


def test_the_misleading_label_in_the_text_is_no_leak():
    triple = make_triple("The insurance covers sport and travel.", "insurance question", "sport", group=TaskGroup.LONG_SHORT)
    assert "label_leak" not in {flag.code for flag in check_triple(triple)}


@pytest.mark.parametrize(("text", "cut"), [
    (PROSE + ".", False),
    (PROSE, True),
    (PROSE + " and the", True),
    (PROSE + " in pots,", True),
    (PROSE + ":\n- sand\n- clay", False),  # a list needs no full stop
    (PROSE + ". E = mc²", False),
    (PROSE + ". KEEP DRY", False),
    (PROSE + ". (see above)", False),
    ("Ginkgo", False),  # a phrase
    ("the leaves of a ginkgo in autumn", False),
])  # fmt: skip
def test_a_text_that_stops_within_a_sentence_is_cut(text: str, cut: bool):
    assert (cut_weight(text, unmarked=False, others_end=False, spaceless=False) > 0) is cut


SENTENCE = "The last train leaves platform four at"


@pytest.mark.parametrize(("text", "others_end", "spaceless", "cut"), [
    (SENTENCE, True, False, True),  # six words and more beside sentences
    (SENTENCE, False, False, False),  # beside phrases it is one, whatever its last word
    ("The last train leaves", True, False, False),
    (PROSE + ".\n\nWater them with the", True, False, True),  # a signature does not end in an article
    (PROSE + ".\n\nAnna from Leeds", True, False, False),
    (PROSE + ". It runs on 230 V", True, False, False),
    ("根部缺氧，叶子会变黄。\n难的是让泥土每隔几天都能慢慢干", True, True, True),  # a long line, though without a space
    ("根部缺氧，叶子会变黄。\n园丁小林", True, True, False),
])  # fmt: skip
def test_short_texts_and_last_lines_are_judged_by_what_stands_beside_them(text: str, others_end: bool, spaceless: bool, cut: bool):
    assert (cut_weight(text, unmarked=False, others_end=others_end, spaceless=spaceless) > 0) is cut


def test_scripts_that_need_no_full_stop_are_judged_by_their_last_word_only():
    assert cut_weight(PROSE, unmarked=True, others_end=True, spaceless=False) == 0.0
    assert cut_weight(PROSE + " and the", unmarked=True, others_end=True, spaceless=False) == 0.8


@pytest.mark.parametrize(("query", "document", "copied"), [
    ("parallel fifths bad", "Parallel fifths: bad? It depends on the style.", True),
    ("APR or APY", "APR or APY: what is the difference?", True),
    ("银耳炖不出胶", "银耳炖不出胶怎么办？多半出在三处。", True),
    ("does mustard cure bronchitis", "Bronchitis heals by itself. No trial says that mustard helps.", False),
    ("cure bronchitis with mustard", "Mustard with bronchitis cure. No trial says so.", True),  # its words in another order, as a title
    ("ginkgo leaves", "Ginkgo leaves turn yellow.", False),  # a term, not a question
    ("why is the soil of my pot so wet", "Wet soil has little air, and pots without holes stay wet.", False),
])  # fmt: skip
def test_a_query_taken_over_at_the_head_is_a_copy(query: str, document: str, copied: bool):
    assert bool(copied_run(tokens(query), tokens(document), DEFAULT_THRESHOLDS.copied_share)) is copied


QUERY = "one two three four five six seven eight nine ten eleven twelve"


@pytest.mark.parametrize(("query", "document", "found"), [
    ("does mustard really cure bronchitis", "Does mustard really cure bronchitis, then? It does not.", True),
    ("how do mustard plasters cure bronchitis", "How does a mustard plaster cure bronchitis? It does not.", True),
    ("how do mustard plasters cure bronchitis", "Bronchitis heals by itself, whatever mustard does.", False),
    ("mustard", "Mustard is a plant.", False),  # a term
    ("why " * 60, "why " * 60, False),  # too long to be a title
])  # fmt: skip
def test_an_opening_that_hardly_changes_the_query_is_found(query: str, document: str, found: bool):
    assert bool(reworded_opening(query, document)) is found


@pytest.mark.parametrize("query", [QUERY, "why do the leaves turn yellow", "银耳炖不出胶怎么办呢", "mustard bronchitis cure"])
@pytest.mark.parametrize("document", [
    f"He asked: {QUERY} And so on.", QUERY, "Why do the leaves turn? Yellow is their last colour.", "银耳炖不出胶怎么办呢？多半出在三处。",
    "Bronchitis: cure by mustard. No trial says so.", "Nothing of it.",
])  # fmt: skip
def test_the_quick_look_never_hides_a_copy(query: str, document: str):
    if copied_run(tokens(query), tokens(document), DEFAULT_THRESHOLDS.copied_share):
        assert may_copy(tokens(query), document, DEFAULT_THRESHOLDS.copied_share)
    assert not may_copy(tokens(query), "Nothing of it.", DEFAULT_THRESHOLDS.copied_share)


@pytest.mark.parametrize(("right", "wrong", "language", "flagged"), [
    ("The tenant shall return the keys within a week.", "The tenant will return keys within a week.", "English", True),  # articles
    ("The tenant shall return the keys within a week.", "The tenant shall return the keys within a month.", "English", False),
    ("The tenant shall not return the keys within a week.", "The tenant shall return the keys within a week.", "English", False),
    ("出租人应当在一周内退还押金，并附发票的复印件。", "出租人应在一周内退还押金，并附上发票复印件。", "Chinese (Simplified)", True),
    ("出租人应当在一周内退还押金，并附发票的复印件。", "承租人应当在一周内退还押金，并附发票的复印件。", "Chinese (Simplified)", False),
    ("The tenant shall return the keys.", "The tenant will return the keys.", "Klingon", False),
])  # fmt: skip
def test_translations_that_differ_in_particles_only_are_near_identical(right: str, wrong: str, language: str, flagged: bool):
    triple = make_triple("a source text", right, wrong, group=TaskGroup.BITEXT, target_language=language)
    assert ("near_identical" in {flag.code for flag in check_triple(triple)}) is flagged


def test_long_words_exchanged_in_the_same_order_are_near_identical():
    text = "Our old neighbour carefully repaired the small wooden bench by the door and then he went home with us to eat"
    other = text.replace("carefully", "painstakingly").replace("neighbour", "acquaintance").replace("repaired", "reconstructed")
    shuffled = " ".join(sorted(text.split()))
    assert gram_similarity(text, other) < DEFAULT_THRESHOLDS.near_identical
    found = {flag.code for flag in check_triple(make_triple("who repaired it", text, other, group=TaskGroup.STS))}
    assert "near_identical" in found
    assert "near_identical" not in {flag.code for flag in check_triple(make_triple("who did", text, shuffled, group=TaskGroup.STS))}


GERMAN = "Die Blätter werden gelb, wenn die Wurzeln keine Luft bekommen."
ENGLISH = "Leaves turn yellow when the roots of the plant get no air for weeks."


@pytest.mark.parametrize(("pieces", "language", "mixed"), [
    ([ENGLISH, GERMAN], "English", True),
    ([GERMAN, ENGLISH], "German", True),
    ([GERMAN, "Das nennt man Root Rot."], "German", False),  # a term
    (["根部缺氧时叶子会变黄。", ENGLISH], "Chinese (Simplified)", True),
    ([ENGLISH, "根部缺氧的时候，叶子就会慢慢变黄。"], "English", True),
    (["根部缺氧时叶子会变黄，这叫做 root rot。"], "Chinese (Simplified)", False),
    (["Листя жовтіє, коли корінню бракує повітря.", "Вы должны дать почве просохнуть, чтобы эти корни дышали."], "Ukrainian", True),
    ([ENGLISH, "for (int i = 0; i < n; i++) { sum += x[i]; }"], "English", False),
    ([GERMAN, ENGLISH], "Klingon", False),
    (["รากที่ขาดอากาศทำให้ใบเหลือง", "Листья желтеют, когда корням не хватает воздуха"], "Thai", True),  # no mark between the two
    (["Якщо коріння не дихає, листя жовтіє.", "Вся семья перебралась в летнюю кухню, где растопили печь."], "Ukrainian", True),
    (["根部缺氧时叶子会变黄。", "SELECT id, title FROM t WHERE id < 734501 ORDER BY id DESC LIMIT 20。"], "Chinese (Simplified)", False),
    (["Majani hubadilika rangi kwa sababu ya maji mengi.", ENGLISH], "Swahili", True),
    ([ENGLISH, "Majani hubadilika rangi kwa sababu mizizi yake haipati hewa ya kutosha."], "English", True),
])  # fmt: skip
def test_a_part_in_another_language_is_found(pieces: list[str], language: str, mixed: bool):
    assert (find_foreign_part(" ".join(pieces), language) is not None) is mixed


def test_a_field_wholly_in_another_language_is_not_called_mixed_too():
    found = {flag.code for flag in check_triple(make_triple(positive=f"{GERMAN} {GERMAN}")) if flag.field == "positive"}
    assert "wrong_language" in found
    assert "mixed_languages" not in found
