"""FAISS: exact inner-product search over unit vectors. The only door to faiss.

An index is a folder: `vectors.faiss`, `ids.json`, `meta.json`. Files are read only from our own workspace and only when their checksums
match `meta.json`, because a faiss file is not safe to read from strangers.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import IndexMismatch, ModelUnusable, WorkspaceDamaged
from core.retrieval.index_facts import META, IndexFacts, read_facts
from core.storage.artifacts import read_json, sha256_of, write_json
from core.storage.database import translated_errors

VECTORS, IDS = "vectors.faiss", "ids.json"

Vectors = NDArray[np.float32]


class VectorIndex:
    """Documents as unit vectors."""

    def __init__(self, ids: Sequence[str], flat: Any) -> None:
        self.ids = tuple(ids)
        self._flat = flat
        self._position = {identifier: i for i, identifier in enumerate(self.ids)}
        order = sorted(range(len(self.ids)), key=lambda i: self.ids[i])
        self._by_id = np.empty(len(order), dtype=np.int64)  # position -> place of its id among all ids: the tie-break
        self._by_id[order] = np.arange(len(order))

    @classmethod
    def build(cls, ids: Sequence[str], vectors: Vectors) -> Self:
        """Index of `vectors`, shape (len(ids), dimensions), each of length 1.

        Raises:
            ModelUnusable: a vector holds NaN or infinity.
        """
        if vectors.ndim != 2 or vectors.shape[0] != len(ids) or not len(ids):
            raise ValueError(f"{len(ids)} ids do not fit vectors of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ModelUnusable("The encoder gave vectors that are not numbers.", hint="Its training diverged: train with a lower rate.")
        flat = faiss.IndexFlatIP(int(vectors.shape[1]))
        flat.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(ids, flat)

    @property
    def dimensions(self) -> int:
        """Width of a vector."""
        return int(self._flat.d)

    def save(self, folder: Path, facts: IndexFacts) -> None:
        """Write the index to `folder` in one step: the old one stays whole until the new one is.

        Raises:
            DiskFull, StorageError: the old index is untouched.
        """
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        with translated_errors():
            temporary.mkdir(parents=True)
            try:
                (temporary / VECTORS).write_bytes(faiss.serialize_index(self._flat).tobytes())
                write_json(temporary / IDS, list(self.ids))
                checksums = {name: sha256_of(temporary / name) for name in (VECTORS, IDS)}
                write_json(temporary / META, {**asdict(facts), "checksums": checksums})
                _take_place_of(folder, temporary)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path, *, fingerprint: str | None = None) -> Self:
        """Read an index back.

        Args:
            folder: where `save` wrote it.
            fingerprint: of the encoder that will ask; None to not compare.

        Raises:
            WorkspaceDamaged: a file is missing, torn or changed.
            IndexMismatch: another encoder built it.
        """
        facts = read_facts(folder)
        if facts is None:
            raise WorkspaceDamaged(f"There is no index in {folder}.", hint="Build it: python -m core index --corpus … --model …")
        rebuild = f"Build it again: python -m core index --corpus {facts.corpus_id} --model {facts.system}"
        if fingerprint is not None and facts.fingerprint != fingerprint:
            raise IndexMismatch(
                f"The index of {facts.corpus_id} was built by another encoder ({facts.fingerprint}) than {fingerprint}.", hint=rebuild
            )
        _verify(folder, rebuild)
        data = np.frombuffer((folder / VECTORS).read_bytes(), dtype=np.uint8)
        flat, ids = faiss.deserialize_index(data), read_json(folder / IDS)
        if flat.ntotal != len(ids) or flat.d != facts.dimensions:
            raise WorkspaceDamaged(f"The index in {folder} does not hold what it says.", hint=rebuild)
        return cls(ids, flat)

    def similarities(self, query: Vectors) -> Vectors:
        """Cosine of one query, shape (dimensions,) or (1, dimensions), with every document, in the order of `ids`: shape (documents,)."""
        scores, positions = self._flat.search(_row(query), len(self.ids))
        found = np.empty(len(self.ids), dtype=np.float32)
        found[positions[0]] = scores[0]
        return found

    def ranks_in(self, similarities: Vectors, ids: Iterable[str]) -> dict[str, int]:
        """Rank (from 1, in the whole corpus, ties by id) of those `ids` that are in the index, by the `similarities` of a query."""
        ranks = {}
        for identifier in ids:
            if (position := self._position.get(identifier)) is not None:
                own = similarities[position]
                ties = (similarities == own) & (self._by_id < self._by_id[position])
                ranks[identifier] = int((similarities > own).sum() + ties.sum()) + 1
        return ranks

    def position_of(self, identifier: str) -> int | None:
        """Place of a document in `ids`."""
        return self._position.get(identifier)


def _verify(folder: Path, rebuild: str) -> None:
    expected = (read_json(folder / META) or {}).get("checksums", {})
    for name in (VECTORS, IDS):
        if not (folder / name).is_file():
            raise WorkspaceDamaged(f"{folder / name} is missing.", hint=rebuild)
        if sha256_of(folder / name) != expected.get(name):
            raise WorkspaceDamaged(f"{folder / name} does not match its checksum.", hint=rebuild)


def _take_place_of(folder: Path, new: Path) -> None:
    """Rename `new` to `folder`; a folder that is there is moved aside first, because a rename cannot replace a full one."""
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _row(query: Vectors) -> Vectors:
    return np.ascontiguousarray(query, dtype=np.float32).reshape(1, -1)
