from __future__ import annotations

import numpy as np
import pytest

from core.exploration.neighbours import BLOCK, margins, nearest, neighbour_change


def test_nearest_leaves_out_the_row_itself_and_breaks_ties_by_row():
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0.8, 0.6]], dtype=np.float32)
    assert nearest(vectors, 2).tolist() == [[2, 3], [3, 0], [0, 3], [0, 2]]


def test_nearest_in_blocks_equals_a_full_sort():
    vectors = np.random.default_rng(0).normal(size=(BLOCK + 40, 6)).astype(np.float32)
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    assert (nearest(vectors, 7) == np.argsort(-similarities, axis=1)[:, :7]).all()


def test_one_point_has_no_neighbour():
    assert nearest(np.ones((1, 3), dtype=np.float32)).shape == (1, 0)


def test_change_is_one_less_jaccard():
    """{1,2} and {2,1}: 0. {1,2} and {2,3}: shared 1 of 3, so 2/3. {1,2} and {3,4}: 1."""
    before = np.array([[1, 2], [1, 2], [1, 2]])
    after = np.array([[2, 1], [2, 3], [3, 4]])
    assert neighbour_change(before, after) == pytest.approx([0, 2 / 3, 1])


def test_margin_is_below_zero_where_the_negative_is_nearer():
    query = np.array([[1, 0]], dtype=np.float32)
    assert margins(query, np.array([[0.6, 0.8]], dtype=np.float32), np.array([[0.8, 0.6]], dtype=np.float32)) == pytest.approx([-0.2])
