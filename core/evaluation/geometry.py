"""What the vectors of a model look like, whatever they are used for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class Geometry:
    """Alignment and uniformity (Wang and Isola 2020, alpha 2 and t 2) and anisotropy, of unit vectors."""

    alignment: float  # mean squared distance of a query to its positive: 0 = the same point, 4 = opposite; lower is better
    uniformity: float  # log mean of exp(-2 squared distance) over random pairs: 0 = all in one point, -4 at best; lower is better
    anisotropy: float  # mean cosine of random pairs: 1 = all point one way, 0 = all directions used
    pairs: int


def geometry_of(queries: NDArray[np.float32], positives: NDArray[np.float32], documents: NDArray[np.float32], *, seed: int = 0) -> Geometry:
    """Measure unit vectors: `queries` and `positives` are paired, shape (n, d); random pairs are drawn among `documents`, shape (m, d)."""
    alignment = float(np.mean(2 - 2 * np.sum(queries * positives, axis=1)))
    cosines = random_pair_cosines(documents, seed=seed)
    if not len(cosines):
        return Geometry(alignment, 0.0, 1.0, 0)
    # |x - y|^2 = 2 - 2 cos for unit vectors
    uniformity = float(np.log(np.mean(np.exp(-2 * (2 - 2 * cosines)))))
    return Geometry(alignment, uniformity, float(cosines.mean()), len(cosines))


def random_pair_cosines(vectors: NDArray[np.float32], *, pairs: int = PAIRS, seed: int = 0) -> NDArray[np.float64]:
    """Cosines of pairs of different rows: all pairs where they are few, else `pairs` random ones."""
    n = len(vectors)
    if n < 2:
        return np.empty(0)
    if n * (n - 1) // 2 <= pairs:
        left, right = np.triu_indices(n, k=1)
    else:
        generator = np.random.default_rng(seed)
        left = generator.integers(0, n, size=pairs)
        right = (left + generator.integers(1, n, size=pairs)) % n  # never the row itself
    return np.einsum("ij,ij->i", vectors[left], vectors[right], dtype=np.float64)
