from __future__ import annotations

import numpy as np
import pytest

from core.domain.plans import MapPlan
from core.exploration.projection import aligned, principal_components, project, project_beside, standardised

PLAN = MapPlan(triples=True, neighbours=5, seed=3)


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_alignment_undoes_a_rotation_and_a_mirror():
    layout = np.random.default_rng(1).normal(size=(30, 2))
    turned = layout @ np.array([[0, -1], [1, 0]]) @ np.diag([1, -1])
    assert np.allclose(aligned(turned, layout), layout)


def test_standardised_is_centred_with_unit_spread():
    layout = standardised(np.array([[0.0, 0.0], [4.0, 0.0]]))
    assert layout.tolist() == [[-1, 0], [1, 0]]
    assert standardised(np.ones((3, 2))).tolist() == [[0, 0]] * 3


def test_components_of_points_on_a_line():
    found = principal_components(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=np.float32))
    assert np.allclose(found, [[-1, 0], [0, 0], [1, 0]])


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_few_points_get_a_layout_without_umap(count):
    layout = project(unit_vectors(count), PLAN)
    assert layout.shape == (count, 2)
    assert np.isfinite(layout).all()


@pytest.mark.slow
def test_equal_seeds_give_equal_maps_and_the_second_stays_near_the_first():
    first_vectors = unit_vectors(80)
    first = project(first_vectors, PLAN)
    assert np.array_equal(first, project(first_vectors, PLAN))
    second_vectors = first_vectors + 0.05 * unit_vectors(80, seed=9)
    second = project_beside(second_vectors, first, PLAN)
    near = np.linalg.norm(second - first, axis=1).mean()
    shuffled = np.linalg.norm(second - np.roll(first, 7, axis=0), axis=1).mean()
    assert near < 0.5 * shuffled
