"""Vectors on disk, so that the same texts are never encoded twice by the same encoder.

Texts are kept in chunks of a fixed size; a chunk's file is named by the hash of its texts, role and task. Files are plain .npy (no pickle),
written to a temporary name and renamed, so a job that is killed resumes after its last whole chunk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain.encoder import Role

CHUNK_TEXTS = 128
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What `encode` did: vectors in all, and how many of them came from disk."""

    texts: int
    reused: int


class VectorCache:
    """Vectors of one encoder (by fingerprint), for one role and task."""

    def __init__(self, folder: Path, fingerprint: str, *, role: Role, task: str | None = None) -> None:
        self._folder = folder / fingerprint
        self._key = f"{role.value}\x1f{task or ''}" if role is Role.QUERY else role.value
        self.report = CacheReport(0, 0)

    def encode(
        self,
        texts: Sequence[str],
        encode: Encode,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        stop_requested: Callable[[], bool] | None = None,
    ) -> NDArray[np.float32] | None:
        """Vectors of `texts`, shape (len(texts), dimensions), from disk where they are, else from `encode`.

        `on_progress` is told (texts done, texts in all) after each chunk. None where `stop_requested` said so before the end; what was
        encoded until then is kept.
        """
        parts: list[NDArray[np.float32]] = []
        reused = 0
        for start in range(0, len(texts), CHUNK_TEXTS):
            if stop_requested and stop_requested():
                return None
            chunk = list(texts[start : start + CHUNK_TEXTS])
            vectors = self._stored(chunk)
            if vectors is None:
                vectors = np.asarray(encode(chunk), dtype=np.float32)
                self._store(chunk, vectors)
            else:
                reused += len(chunk)
            parts.append(vectors)
            if on_progress:
                on_progress(start + len(chunk), len(texts))
        self.report = CacheReport(len(texts), reused)
        return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)

    def _path(self, chunk: Sequence[str]) -> Path:
        digest = hashlib.sha256(self._key.encode())
        for text in chunk:
            digest.update(b"\x1e" + text.encode("utf-8", errors="surrogatepass"))
        return self._folder / f"{digest.hexdigest()[:32]}.npy"

    def _stored(self, chunk: Sequence[str]) -> NDArray[np.float32] | None:
        try:
            vectors = np.load(self._path(chunk), allow_pickle=False)
        except (OSError, ValueError, EOFError):  # absent or torn: encode again
            return None
        fits = vectors.ndim == 2 and vectors.shape[0] == len(chunk) and vectors.dtype == np.float32 and bool(np.isfinite(vectors).all())
        return vectors if fits else None

    def _store(self, chunk: Sequence[str], vectors: NDArray[np.float32]) -> None:
        path = self._path(chunk)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.save(file, vectors, allow_pickle=False)
            temporary.replace(path)
        except OSError:  # the cache saves time only: a full disk must not end the work that asked
            temporary.unlink(missing_ok=True)
