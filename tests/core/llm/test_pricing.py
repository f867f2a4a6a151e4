from __future__ import annotations

import pytest

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
