"""Dense regions of a map, named by the terms that set them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NOISE = -1
UNNAMED = "scattered"
TERMS = 3
WORD = re.compile(r"[^\W\d_]+")
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+")  # Japanese, Chinese, Thai: no spaces between words


def cluster(layout: NDArray[np.float64], *, smallest: int | None = None) -> NDArray[np.int64]:
    """HDBSCAN label of each point of a layout (n, 2): 0, 1, … by size, largest first; -1 lies in no dense region."""
    n = len(layout)
    smallest = smallest or max(5, round(n / 50))
    if n < 2 * smallest:
        return np.full(n, NOISE, dtype=np.int64)
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit_predict(layout)
    sizes = Counter(int(label) for label in found if label >= 0)
    order = {label: i for i, (label, _) in enumerate(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))}
    return np.array([order.get(int(label), NOISE) for label in found], dtype=np.int64)


def cluster_names(labels: NDArray[np.int64], texts: Sequence[str]) -> dict[int, str]:
    """Name of each cluster: its terms of highest class-based TF-IDF (Grootendorst 2022). Equal texts count once a cluster."""
    counts: dict[int, Counter[str]] = {}
    seen: set[tuple[int, str]] = set()
    for label, text in zip(labels.tolist(), texts, strict=True):
        if label != NOISE and (label, text) not in seen:
            seen.add((label, text))
            counts.setdefault(label, Counter()).update(terms(text))
    everywhere: Counter[str] = sum(counts.values(), Counter())
    average = everywhere.total() / max(1, len(counts))
    names = {NOISE: UNNAMED}
    for label, found in counts.items():
        weight = {t: (f / found.total()) * np.log(1 + average / everywhere[t]) for t, f in found.items() if f > 1 or found.total() < 50}
        best = sorted(weight, key=lambda t: (-weight[t], t))[:TERMS]
        names[label] = f"{label + 1}: {' · '.join(best)}" if best else f"{label + 1}"
    return names


def terms(text: str) -> list[str]:
    """Lower-case words of three letters and more that are not English function words; character pairs where a script has no spaces."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    found = []
    for word in WORD.findall(text.lower()):
        pieces = UNSPACED.findall(word)
        if pieces:
            found += [piece[i : i + 2] for piece in pieces for i in range(max(1, len(piece) - 1))]
        elif len(word) > 2 and word not in ENGLISH_STOP_WORDS:
            found.append(word)
    return found
