"""Held-out examples and an encoder whose vectors are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.domain.dataset import Example, Split
from core.domain.encoder import EncoderSpec, Role
from core.domain.groups import TaskGroup
from core.domain.triple import Texts


def example(query: str, positive: str, negative: str | None = None, **fields) -> Example:
    values = {
        "triple_id": f"t-{query}",
        "group": TaskGroup.SHORT_LONG,
        "task": "Find the answer.",
        "language": "English",
        "target_language": None,
        "split": Split.HELDOUT,
    }
    return Example(texts=Texts(query, positive, negative), **{**values, **fields})


class KnownEncoder:
    """Gives each text the vector it was told, and remembers what it was asked."""

    def __init__(self, vectors: Mapping[str, Sequence[float]], *, spec: EncoderSpec | None = None) -> None:
        self.spec = spec or EncoderSpec()
        self.dimensions = len(next(iter(vectors.values())))
        self._vectors = vectors
        self.asked: list[tuple[str, Role, str | None]] = []

    def encode(self, texts, *, role, task=None, batch_size=32):
        self.asked += [(text, role, task) for text in texts]
        found = np.array([self._vectors[t] for t in texts], dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)
