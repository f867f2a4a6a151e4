"""Labels, endings, copies and parts in another language."""

from __future__ import annotations

import pytest

from core.domain.checks import DEFAULT_THRESHOLDS
from core.domain.groups import TaskGroup
from core.generation.checks.copies import copied_run
from core.generation.checks.detectors import find_foreign_part
from core.generation.checks.endings import cut_weight
from core.generation.checks.labels import find_label
from core.generation.checks.triple_checks import check_triple
from core.generation.checks.words import tokens
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
])  # fmt: skip
def test_a_part_in_another_language_is_found(pieces: list[str], language: str, mixed: bool):
    assert (find_foreign_part(pieces, language) is not None) is mixed


def test_a_field_wholly_in_another_language_is_not_called_mixed_too():
    found = {flag.code for flag in check_triple(make_triple(positive=f"{GERMAN} {GERMAN}")) if flag.field == "positive"}
    assert "wrong_language" in found
    assert "mixed_languages" not in found
