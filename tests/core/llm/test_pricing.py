from __future__ import annotations

import pytest

from core.domain.plans import Price
from core.llm.pricing import price, price_is_known


def test_a_known_model_costs_what_its_table_says():
    # gpt-4o-mini: $0.15 a million prompt tokens, $0.60 a million completion tokens
    assert price("https://api.openai.com/v1", "gpt-4o-mini", 1_000_000, 500_000) == pytest.approx(0.15 + 0.30)


def test_an_unknown_price_is_none_and_never_zero():
    assert price("http://127.0.0.1:8000/v1", "gpt-4o-mini", 1000, 1000) is None
    assert not price_is_known("https://api.openai.com/v1", "no-such-model")
    assert price("https://api.openai.com/v1", "gpt-4o-mini", None, 10) is None


def test_the_embedded_teacher_is_free():
    assert price("embedded", "smollm2-135m", None, None) == 0.0


def test_a_price_of_ones_own_goes_before_the_table_and_makes_the_unknown_known():
    own = Price(prompt=2.0, completion=10.0)
    assert price("https://api.openai.com/v1", "gpt-4o-mini", 1_000_000, 500_000, own) == pytest.approx(2.0 + 5.0)
    assert price("http://127.0.0.1:8000/v1", "mine", 1000, 1000, own) == pytest.approx(0.012)
    assert price_is_known("http://127.0.0.1:8000/v1", "mine", own)
    assert price("http://127.0.0.1:8000/v1", "mine", None, 10, own) is None
    assert price("http://127.0.0.1:8000/v1", "mine", 1000, 1000, Price(prompt=0, completion=0)) == 0.0  # said to be free, not unknown
