from __future__ import annotations

import math

import pytest

from core.domain.ranking import Document, content_hash_of, document_of, ndcg_of_ranks, reciprocal_rank


def test_one_relevant_document():
    assert ndcg_of_ranks([1]) == 1
    assert ndcg_of_ranks([3]) == pytest.approx(1 / math.log2(4))
    assert ndcg_of_ranks([11]) == 0
    assert reciprocal_rank([4]) == 0.25
    assert reciprocal_rank([11]) == 0


def test_two_relevant_documents():
    assert ndcg_of_ranks([1, 2]) == 1
    assert ndcg_of_ranks([2, 12]) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert reciprocal_rank([12, 2]) == 0.5


def test_the_same_text_is_the_same_document_and_titles_count():
    assert document_of("a  b").id == document_of("a b").id
    assert document_of("a", title="t").id != document_of("a").id
    assert document_of("a", title="t").content == "t\na"
    assert content_hash_of([Document("1", "a")]) != content_hash_of([Document("1", "b")])
