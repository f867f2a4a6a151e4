"""Vectors that were asked for lately: a slider that moves must not ask the model again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import Role

Key = tuple[str, Role, str | None, str]  # system, role, task, text
Ask = Callable[[str, Sequence[str], Role, str | None], NDArray[np.float32]]


class RememberedVectors:
    """The newest `capacity` vectors by system, role, task and text, for several threads; a name always means the same weights."""

    def __init__(self, ask: Ask, *, capacity: int = 4000) -> None:
        self._ask = ask
        self._capacity = capacity
        self._known: OrderedDict[Key, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, system: str, texts: Sequence[str], role: Role, task: str | None = None) -> NDArray[np.float32]:
        """Unit vectors, (texts, dimensions), in the order of `texts`; only those not known yet are asked for, each once."""
        keys: list[Key] = [(system, role, task, text) for text in texts]
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            vectors = self._ask(system, [key[3] for key in missing], role, task)
            found |= dict(zip(missing, vectors, strict=True))
        with self._lock:
            for key in keys:
                self._known[key] = found[key]
                self._known.move_to_end(key)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return np.stack([found[key] for key in keys])
