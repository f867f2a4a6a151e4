from __future__ import annotations

import math

import numpy as np
import pytest

from core.domain.identity import content_id
from core.evaluation.metrics import rank_by_vectors, rank_corpus, scores_per_query

DOCUMENTS = [f"d{i:03}" for i in range(150)]


def scores(similarities: dict[str, float], relevant: set[str]) -> tuple[float, float, float]:
    """nDCG@10, MRR@10, Recall@100 of one query; documents not named have similarity -1."""
    qrels = {"q": dict.fromkeys(relevant, 1)}
    ranked = rank_corpus({"q": np.array([similarities.get(d, -1.0) for d in DOCUMENTS])}, DOCUMENTS, qrels)
    found = scores_per_query(ranked, qrels, ["q"])
    return found["ndcg_at_10"][0], found["mrr_at_10"][0], found["recall_at_100"][0]


@pytest.mark.parametrize(
    ("rank", "ndcg", "reciprocal", "recall"),
    [
        (1, 1.0, 1.0, 1.0),
        (3, 1 / math.log2(4), 1 / 3, 1.0),
        (10, 1 / math.log2(11), 0.1, 1.0),
        (11, 0, 0, 1.0),
        (100, 0, 0, 1.0),
        (101, 0, 0, 0),
    ],
)
def test_one_relevant_document_at_a_known_rank(rank, ndcg, reciprocal, recall):
    similarities = {d: 1 - i / 1000 for i, d in enumerate(DOCUMENTS)}
    assert scores(similarities, {DOCUMENTS[rank - 1]}) == pytest.approx((ndcg, reciprocal, recall))


def test_two_relevant_documents_one_found_late():
    """Ranks 1 and 4: DCG = 1 + 1/log2(5), ideal = 1 + 1/log2(3)."""
    similarities = {d: 1 - i / 1000 for i, d in enumerate(DOCUMENTS)}
    ndcg, reciprocal, recall = scores(similarities, {"d000", "d003"})
    assert ndcg == pytest.approx((1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3)))
    assert (reciprocal, recall) == (1.0, 1.0)


def test_a_collapsed_model_is_not_flattered_by_the_order_of_the_corpus():
    """All similarities equal: the ranking is that of the hashes of the ids, wherever the answer stands in the corpus."""
    qrels = {"q": {"m": 1}}
    for order in (["m", "z", "a"], ["z", "a", "m"], ["a", "m", "z"]):
        ranked = rank_corpus({"q": np.full(3, 0.9999)}, order, qrels)
        assert ranked.top["q"] == sorted("amz", key=content_id) == ["a", "z", "m"]
        assert ranked.first_relevant["q"] == 3
        assert scores_per_query(ranked, qrels, ["q"])["mrr_at_10"][0] == pytest.approx(1 / 3)


def test_noise_of_a_matrix_product_does_not_order_equal_documents():
    ranked = rank_corpus({"q": np.array([0.5, 0.5 + 3e-8], dtype=np.float32)}, ["a", "b"], {"q": {"b": 1}})
    assert ranked.top["q"] == ["a", "b"]


def test_ranking_by_vectors_in_blocks_equals_ranking_all_at_once():
    generator = np.random.default_rng(3)
    queries, documents = (generator.normal(size=(n, 8)).astype(np.float32) for n in (300, 40))
    ids, names = [f"q{i}" for i in range(300)], [f"d{i}" for i in range(40)]
    qrels = {q: {names[i % 40]: 1} for i, q in enumerate(ids)}
    blocks = rank_by_vectors(queries, ids, documents, names, qrels)
    whole = rank_corpus(dict(zip(ids, queries @ documents.T, strict=True)), names, qrels)
    assert blocks == whole
    assert len(blocks.top) == 300
