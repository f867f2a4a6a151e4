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
