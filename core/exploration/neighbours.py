"""Who is near whom, and how that differs between two models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10
BLOCK = 512  # rows whose similarities are in memory at once


def nearest(vectors: NDArray[np.float32], count: int = NEIGHBOURS) -> NDArray[np.int64]:
    """Rows nearest to each row by cosine, itself left out: shape (n, min(count, n - 1)), nearest first, ties by row number."""
    n = len(vectors)
    count = min(count, n - 1)
    if count < 1:
        return np.empty((n, 0), dtype=np.int64)
    found = np.empty((n, count), dtype=np.int64)
    for start in range(0, n, BLOCK):
        similarities = vectors[start : start + BLOCK] @ vectors.T  # (block, n)
        rows = np.arange(len(similarities))
        similarities[rows, start + rows] = -np.inf
        best = np.sort(np.argpartition(-similarities, count - 1, axis=1)[:, :count], axis=1)  # the nearest, by row number
        order = np.argsort(-np.take_along_axis(similarities, best, axis=1), axis=1, kind="stable")
        found[start : start + BLOCK] = np.take_along_axis(best, order, axis=1)
    return found


def neighbour_change(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 - Jaccard overlap of each row's neighbours: 0 = the same neighbours, 1 = none in common. Shape (n,)."""
    shared = (before[:, :, None] == after[:, None, :]).sum(axis=(1, 2))  # (n,)
    together = before.shape[1] + after.shape[1] - shared
    return 1 - shared / np.maximum(together, 1)


def margins(queries: NDArray[np.float32], positives: NDArray[np.float32], negatives: NDArray[np.float32]) -> NDArray[np.float64]:
    """Similarity of query and positive less similarity of query and negative, of paired unit vectors (n, d).

    Below 0 the negative is nearer.
    """
    return np.einsum("ij,ij->i", queries, positives - negatives, dtype=np.float64)
