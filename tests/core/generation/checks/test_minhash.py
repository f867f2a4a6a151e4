from __future__ import annotations

import random

import numpy as np
import pytest

from core.generation.checks.minhash import find_near_duplicates, gram_hashes, signature
from core.generation.checks.words import gram_similarity

WORDS = [f"{a}{b}{c}" for a in ("ka", "mo", "ti", "re") for b in ("lu", "sen", "dor") for c in ("ba", "ni", "gu", "pel")]


def text_of(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def test_hashes_give_the_jaccard_index_of_character_5_grams():
    one, other = text_of(1), text_of(1)[:200] + text_of(2)[:100]
    a, b = set(gram_hashes(one).tolist()), set(gram_hashes(other).tolist())
    assert len(a & b) / len(a | b) == pytest.approx(gram_similarity(one, other))


def test_equal_texts_have_equal_signatures_whatever_their_case_and_length():
    assert (signature(gram_hashes("Yellow, leaves!")) == signature(gram_hashes("yellow leaves"))).all()
    assert (signature(gram_hashes("ab")) == signature(gram_hashes("AB"))).all()
    assert gram_hashes("").size == 0


def test_the_share_of_equal_places_estimates_the_similarity():
    one, other = text_of(3, 400), " ".join([text_of(3, 400)[: len(text_of(3, 400)) // 2], text_of(4, 200)])
    estimate = float(np.mean(signature(gram_hashes(one)) == signature(gram_hashes(other))))
    assert estimate == pytest.approx(gram_similarity(one, other), abs=0.15)  # three standard errors of 126 places


def test_every_planted_double_is_found_and_nothing_below_the_threshold():
    texts = [f"{i} {text_of(i)}" for i in range(300)]
    doubles = [texts[i].replace("ka", "xy", 1) for i in range(40)]
    found = {(a, b): share for a, b, share in find_near_duplicates(texts + doubles, threshold=0.8)}
    assert {(i, 300 + i) for i in range(40)} <= set(found)
    assert all(share == pytest.approx(gram_similarity((texts + doubles)[a], (texts + doubles)[b])) for (a, b), share in found.items())
    assert min(found.values()) >= 0.8


def test_a_text_that_stands_a_thousand_times_is_not_paired_a_million_times():
    found = list(find_near_duplicates(["the very same words in every row"] * 1000, threshold=0.9))
    assert {b for _, b, _ in found} == set(range(1, 1000))
    assert len(found) < 5 * 1000
