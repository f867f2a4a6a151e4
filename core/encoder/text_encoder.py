"""What every encoder promises, whatever model is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import EncoderSpec, Role


class TextEncoder(Protocol):
    """Texts to unit vectors."""

    spec: EncoderSpec
    dimensions: int

    def encode(self, texts: Sequence[str], *, role: Role, task: str | None = None, batch_size: int = 32) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the order of `texts`. `task` is used for queries only."""
        ...
