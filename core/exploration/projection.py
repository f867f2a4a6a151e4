"""Vectors to two dimensions: seeded UMAP, a second layout that keeps the same point near."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain.plans import MapPlan

SMALLEST_FOR_UMAP = 12  # below this its neighbour graph says nothing; principal components do
Layout = NDArray[np.float64]  # (n, 2), centred, of unit spread


def project(vectors: NDArray[np.float32], plan: MapPlan, *, start: Layout | None = None) -> Layout:
    """Layout of unit vectors (n, d). Equal vectors and plan give an equal layout; `start` is where the points begin."""
    if len(vectors) < SMALLEST_FOR_UMAP:
        return standardised(principal_components(vectors))
    import umap  # seconds to import: only a map's own process pays

    reducer: Any = umap.UMAP(
        n_components=2,
        n_neighbors=min(plan.neighbours, len(vectors) - 1),
        min_dist=plan.min_distance,
        metric="cosine",
        init=10 * standardised(principal_components(vectors) if start is None else start),
        random_state=plan.seed,
        n_jobs=1,  # a seed and several threads exclude each other
    )
    return standardised(np.asarray(reducer.fit_transform(vectors), dtype=np.float64))


def project_beside(vectors: NDArray[np.float32], first: Layout, plan: MapPlan) -> Layout:
    """Layout of another model's vectors of the same texts: started from `first`, then turned and mirrored onto it."""
    return aligned(project(vectors, plan, start=first), first)


def aligned(layout: Layout, onto: Layout) -> Layout:
    """Rotate or mirror `layout` so that its points lie as near as can be to those of `onto` (orthogonal Procrustes).

    Distances stay as they are.
    """
    left, _, right = np.linalg.svd(layout.T @ onto)
    return layout @ (left @ right)


def standardised(layout: NDArray[np.floating[Any]]) -> Layout:
    """Centred on 0 with a root mean square distance of 1 from it."""
    centred = np.asarray(layout, dtype=np.float64) - np.mean(layout, axis=0)
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    return centred / spread if spread > 0 else centred


def principal_components(vectors: NDArray[np.float32]) -> Layout:
    """First two principal components, signs fixed so that the largest loading is positive; missing ones are 0."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(sizes))
    signs = np.sign(right[np.arange(count), np.abs(right[:count]).argmax(axis=1)])
    layout = np.zeros((len(vectors), 2))
    layout[:, :count] = left[:, :count] * sizes[:count] * np.where(signs == 0, 1, signs)
    return layout
