from __future__ import annotations

import itertools

import numpy as np
import pytest

from core.evaluation.significance import bootstrap_interval, compare, corrected, holm, permutation_p, score_of


def test_p_of_three_differences_counted_by_hand():
    """0.1 + 0.2 + 0.3 = 0.6; of 8 sign patterns only +++ and --- reach |0.6|: p = 2/8."""
    assert permutation_p(np.array([0.1, 0.2, 0.3])) == pytest.approx(0.25)


def test_p_equals_exact_enumeration():
    differences = np.array([0.5, -0.1, 0.2, 0.0, 0.35, -0.05, 0.4])
    observed = abs(differences.sum())
    signs = itertools.product([-1, 1], repeat=len(differences))
    expected = np.mean([abs(np.dot(s, differences)) >= observed - 1e-12 for s in signs])
    assert permutation_p(differences) == pytest.approx(float(expected))


def test_random_patterns_come_close_to_the_exact_p():
    """20 differences of 1 with 15 ahead: P(|Bin(20, 1/2) - 10| >= 5) = 0.0414."""
    differences = np.array([1.0] * 15 + [-1.0] * 5)
    assert permutation_p(differences, seed=1) == pytest.approx(0.0414, abs=0.006)
    assert permutation_p(differences, seed=1) == permutation_p(differences, seed=1)


def test_p_is_never_zero_and_one_where_nothing_differs():
    assert permutation_p(np.ones(200)) == pytest.approx(1 / 10_001)
    assert permutation_p(np.zeros(200)) == 1.0


def test_interval_holds_the_mean_and_depends_on_the_seed_alone():
    values = np.random.default_rng(0).random(60)
    low, high = bootstrap_interval(values, samples=800, seed=5)
    assert low < values.mean() < high
    assert (low, high) == bootstrap_interval(values, samples=800, seed=5)
    assert (low, high) != bootstrap_interval(values, samples=800, seed=6)


def test_interval_width_is_that_of_the_normal_theory():
    """400 coin flips: standard error 0.025, so 95 % of means lie within +-0.049."""
    low, high = bootstrap_interval(np.array([0.0, 1.0] * 200), samples=4000)
    assert high - low == pytest.approx(2 * 1.96 * 0.025, rel=0.06)


def test_interval_of_equal_values_is_a_point():
    score = score_of(np.full(9, 0.25))
    assert (score.low, score.mean, score.high, score.queries) == (0.25, 0.25, 0.25, 9)


def test_wins_ties_losses_and_difference():
    found = compare("tuned", "raw", "ndcg_at_10", np.array([1.0, 0.5, 0.2, 0.0]), np.array([0.0, 0.5, 0.3, 0.0]))
    assert (found.wins, found.ties, found.losses) == (1, 2, 1)
    assert found.difference == pytest.approx(0.9 / 4)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.difference <= found.high


def test_holm_by_hand():
    """Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling: .04 .06 .06 .06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]


def test_correction_keeps_each_p_beside_its_own():
    rows = [compare("a", "b", "m", np.ones(3), np.zeros(3)), compare("a", "c", "m", np.ones(3), np.ones(3))]
    assert [(c.p_value, c.p_adjusted) for c in corrected(rows)] == [(0.25, 0.5), (1.0, 1.0)]
