from __future__ import annotations

import numpy as np
import pytest

from core.evaluation.geometry import geometry_of, random_pair_cosines

AXES = np.eye(4, dtype=np.float32)


def test_perpendicular_documents():
    """All pairs have cosine 0 and squared distance 2: anisotropy 0, uniformity -4.

    Queries lie on their positives: alignment 0.
    """
    found = geometry_of(AXES, AXES, AXES)
    assert (found.alignment, found.uniformity, found.anisotropy, found.pairs) == pytest.approx((0, -4, 0, 6))


def test_a_collapsed_model():
    """One point: every cosine 1, squared distance 0, uniformity log(1) = 0."""
    one = np.tile(AXES[:1], (5, 1))
    found = geometry_of(one, one, one)
    assert (found.alignment, found.uniformity, found.anisotropy) == pytest.approx((0, 0, 1))


def test_perpendicular_positive_has_alignment_two():
    assert geometry_of(AXES[:1], AXES[1:2], AXES).alignment == pytest.approx(2)


def test_random_pairs_are_seeded_and_never_of_a_row_with_itself():
    cosines = random_pair_cosines(np.eye(300, dtype=np.float32), pairs=1000, seed=2)
    assert len(cosines) == 1000
    assert cosines.max() == 0
    assert len(random_pair_cosines(AXES[:1])) == 0
