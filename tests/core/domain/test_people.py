from __future__ import annotations

from core.domain.people import ReviewRules
from tests.factories import make_triples

IDS = [triple.id for triple in make_triples(2000)]


def several(share: float) -> set[str]:
    rules = ReviewRules(overlap_share=share, readers=3)
    return {i for i in IDS if rules.readers_of(i) == 3}


def test_a_share_is_drawn_from_the_ids_and_a_larger_one_holds_the_smaller():
    assert len(several(0.2)) == 437  # of 2,000 expected 400: within 2.1 standard deviations of 400
    assert several(0.05) < several(0.2) < several(0.7)


def test_none_and_all_are_exact():
    assert several(0.0) == set()
    assert several(1.0) == set(IDS)
