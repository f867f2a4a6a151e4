"""Scores with their uncertainty, and comparisons of two systems on the same queries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """Mean over queries with a 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paired comparison of `system` against `against` on one metric."""

    system: str
    against: str
    metric: str
    difference: float
    p_value: float
    wins: int
    ties: int
    losses: int
    low: float | None = None  # 95 % bootstrap interval of the difference
    high: float | None = None
    p_adjusted: float | None = None  # Holm's correction over all comparisons of the metric


METRIC_NAMES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10", "recall_at_100": "Recall@100"}
GEOMETRY = (  # key, name, what it measures (core.evaluation.geometry)
    ("alignment", "Alignment", "mean squared distance of a query to its positive: 0 is the same point, lower is better"),
    ("uniformity", "Uniformity", "how evenly documents spread over the sphere: 0 is one point, towards −4 is even, lower is better"),
    ("anisotropy", "Anisotropy", "mean cosine of random documents: near 1 everything resembles everything, near 0 all directions are used"),
)
SURE_BELOW = 0.05


def p_text(p: float) -> str:
    """A p value as people read it, in one piece."""
    return "p\u00a0<\u00a00.0001" if p < 0.0001 else f"p\u00a0=\u00a0{p:.4f}"


def in_words(comparison: Comparison, system: str, against: str) -> str:
    """One sentence: who answers how many queries better, and whether chance explains it; the names are labels for people."""
    total = comparison.wins + comparison.ties + comparison.losses
    p = comparison.p_value if comparison.p_adjusted is None else comparison.p_adjusted
    sure = "chance alone would hardly do that" if p < SURE_BELOW else "this could be chance"
    metric = METRIC_NAMES.get(comparison.metric, comparison.metric)
    return (
        f"{system} answers {comparison.wins} of {total} queries better than {against}, {comparison.losses} worse, "
        f"{comparison.ties} the same: {metric} {comparison.difference:+.3f}, {p_text(p)}; {sure}."
    )
