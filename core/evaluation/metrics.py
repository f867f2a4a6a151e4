"""Scores per query: nDCG@10, MRR@10 and Recall@100 by trec_eval, over rankings of the whole corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.identity import content_id
from core.domain.ranking import Qrels

METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_100")
DEPTH = 100  # no metric looks deeper
DECIMALS = 6  # float32 noise of a matrix product must not order documents that are equal
BLOCK = 256  # queries whose similarities are in memory at once


@dataclass(frozen=True, slots=True)
class RankedQueries:
    """For each query.

    Ids of the best documents, best first (at most 100), and the rank of its best relevant document in the whole corpus.
    """

    top: dict[str, list[str]]
    first_relevant: dict[str, int]


def rank_corpus(similarities_of: Mapping[str, NDArray[np.floating]], documents: Sequence[str], qrels: Qrels) -> RankedQueries:
    """Rank all documents for each query. `similarities_of` maps a query id to an array of shape (documents,).

    Ties break by a hash of the document's id: a model that gives all documents one similarity gets an order that knows nothing of the
    answer, whatever the ids of a collection tell.
    """
    by_id = np.array(sorted(range(len(documents)), key=[content_id(document) for document in documents].__getitem__))
    ids = [documents[i] for i in by_id]
    place = {identifier: i for i, identifier in enumerate(ids)}
    top: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    for query, similarities in similarities_of.items():
        order = np.argsort(-np.round(np.asarray(similarities, dtype=np.float64)[by_id], DECIMALS), kind="stable")
        rank_of = np.empty(len(ids), dtype=np.int64)
        rank_of[order] = np.arange(1, len(ids) + 1)
        top[query] = [ids[i] for i in order[:DEPTH]]
        first[query] = int(min(rank_of[place[d]] for d in qrels[query]))
    return RankedQueries(top, first)


def rank_by_vectors(
    queries: NDArray[np.float32], query_ids: Sequence[str], documents: NDArray[np.float32], document_ids: Sequence[str], qrels: Qrels
) -> RankedQueries:
    """`rank_corpus` by cosine of unit vectors, shapes (queries, d) and (documents, d), a block of queries at a time."""
    top: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    for start in range(0, len(query_ids), BLOCK):
        block = queries[start : start + BLOCK] @ documents.T  # (block, documents)
        ranked = rank_corpus(dict(zip(query_ids[start : start + BLOCK], block, strict=True)), document_ids, qrels)
        top |= ranked.top
        first |= ranked.first_relevant
    return RankedQueries(top, first)


def scores_per_query(ranked: RankedQueries, qrels: Qrels, query_ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Metric -> values in the order of `query_ids`, shape (queries,), each in [0, 1].

    trec_eval sorts by score and, on equal scores, by document id from Z to A; it is given descending ranks, so our order (ties from A to
    Z) holds.
    """
    import pytrec_eval

    run = {query: {d: float(-rank) for rank, d in enumerate(found)} for query, found in ranked.top.items()}
    shallow = {query: dict(list(found.items())[:10]) for query, found in run.items()}  # trec_eval's reciprocal rank has no cut
    deep = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100"}).evaluate(run)
    cut = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(shallow)
    return {
        "ndcg_at_10": np.array([deep[q]["ndcg_cut_10"] for q in query_ids]),
        "mrr_at_10": np.array([cut[q]["recip_rank"] for q in query_ids]),
        "recall_at_100": np.array([deep[q]["recall_100"] for q in query_ids]),
    }
