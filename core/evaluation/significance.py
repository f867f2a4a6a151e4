"""How sure a mean and a difference of means are, over the queries that were asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.domain.report import Comparison, Score

EXACT_UP_TO = 13  # 2^13 sign patterns are fewer than the random ones below
PERMUTATIONS = 10_000
BLOCK = 500  # resamples in memory at once
EQUAL = 1e-9  # differences smaller than this are ties


def score_of(values: NDArray[np.float64], *, samples: int = 2000, seed: int = 0) -> Score:
    """Mean of per-query values with a 95 % percentile bootstrap interval over queries."""
    low, high = bootstrap_interval(values, samples=samples, seed=seed)
    return Score(float(values.mean()), low, high, len(values))


def bootstrap_interval(values: NDArray[np.float64], *, samples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """2.5th and 97.5th percentile of the mean of `samples` resamples of the queries."""
    generator = np.random.default_rng(seed)
    means = [
        values[generator.integers(0, len(values), size=(min(BLOCK, samples - done), len(values)))].mean(axis=1)
        for done in range(0, samples, BLOCK)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def permutation_p(differences: NDArray[np.float64], *, seed: int = 0, permutations: int = PERMUTATIONS) -> float:
    """Two-sided paired permutation test of "the mean difference is 0".

    Under the null each query's difference could as well have the other sign. All sign patterns are counted where they are few; else
    random ones, with the
    observed pattern counted among them so that p is never 0.
    """
    moved = differences[np.abs(differences) > EQUAL]
    if not len(moved):
        return 1.0
    observed = abs(moved.sum()) - EQUAL
    if len(moved) <= EXACT_UP_TO:
        patterns = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1  # (patterns, queries)
        return float((np.abs((2 * patterns - 1) @ moved) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme = 0
    for done in range(0, permutations, BLOCK):
        signs = generator.choice(np.array([-1.0, 1.0]), size=(min(BLOCK, permutations - done), len(moved)))
        extreme += int((np.abs(signs @ moved) >= observed).sum())
    return (extreme + 1) / (permutations + 1)


def compare(
    system: str, against: str, metric: str, values: NDArray[np.float64], others: NDArray[np.float64], *, samples: int = 2000, seed: int = 0
) -> Comparison:
    """Compare two systems on the same queries in the same order; `low` and `high` bound the difference."""
    differences = values - others
    low, high = bootstrap_interval(differences, samples=samples, seed=seed)
    return Comparison(
        system=system,
        against=against,
        metric=metric,
        difference=float(differences.mean()),
        p_value=permutation_p(differences, seed=seed),
        wins=int((differences > EQUAL).sum()),
        ties=int((np.abs(differences) <= EQUAL).sum()),
        losses=int((differences < -EQUAL).sum()),
        low=low,
        high=high,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given: the chance of one false alarm in the whole family stays below the level."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one metric with `p_adjusted` set; alone, a comparison keeps its p."""
    return [replace(c, p_adjusted=p) for c, p in zip(comparisons, holm([c.p_value for c in comparisons]), strict=True)]
