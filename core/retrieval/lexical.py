"""BM25, the lexical baseline: what a search engine finds by words alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.domain.ranking import Document
from core.errors import WorkspaceDamaged
from core.retrieval.words import search_words
from core.storage.artifacts import read_json, sha256_of, write_json
from core.storage.database import translated_errors

META = "meta.json"
Scores = NDArray[np.float32]


class LexicalIndex:
    """BM25 (Lucene's variant, k1 1.5, b 0.75) over words of `search_words`."""

    def __init__(self, ids: Sequence[str], scorer: Any) -> None:
        self.ids = tuple(ids)
        self._scorer = scorer  # None where no document has a word
        self._position = {identifier: i for i, identifier in enumerate(self.ids)}
        order = sorted(range(len(self.ids)), key=lambda i: self.ids[i])
        self._by_id = np.empty(len(order), dtype=np.int64)
        self._by_id[order] = np.arange(len(order))

    @classmethod
    def build(cls, documents: Sequence[Document]) -> Self:
        """Index of the titles and texts of `documents`."""
        import bm25s

        words = [search_words(document.content) for document in documents]
        scorer = bm25s.BM25(k1=1.5, b=0.75, method="lucene") if any(words) else None
        if scorer is not None:
            scorer.index(words, show_progress=False)
        return cls([document.id for document in documents], scorer)

    def scores(self, query: str) -> Scores:
        """BM25 of the query with every document, in the order of `ids`; 0 where no word is shared."""
        known = self._scorer.vocab_dict if self._scorer is not None else {}
        words = [word for word in search_words(query) if word in known]
        if not words:
            return np.zeros(len(self.ids), dtype=np.float32)
        return np.asarray(self._scorer.get_scores(words), dtype=np.float32)

    def ranks_in(self, scores: Scores, ids: Iterable[str]) -> dict[str, int]:
        """Rank (from 1, in the whole corpus, ties by id) of those `ids` that are in the index, by the `scores` of a query."""
        ranks = {}
        for identifier in ids:
            if (position := self._position.get(identifier)) is not None:
                ties = (scores == scores[position]) & (self._by_id < self._by_id[position])
                ranks[identifier] = int((scores > scores[position]).sum() + ties.sum()) + 1
        return ranks

    def position_of(self, identifier: str) -> int | None:
        """Place of a document in `ids`."""
        return self._position.get(identifier)

    def save(self, folder: Path, **facts: Any) -> None:
        """Write arrays (.npy, no pickle), vocabulary and ids to `folder` in one step; `facts` go to meta.json.

        Raises:
            DiskFull, StorageError: the old index is untouched.
        """
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
        with translated_errors():
            temporary.mkdir(parents=True)
            try:
                if self._scorer is not None:
                    self._scorer.save(temporary, allow_pickle=False, show_progress=False)
                write_json(temporary / "ids.json", list(self.ids))
                checksums = {path.name: sha256_of(path) for path in sorted(temporary.iterdir())}
                write_json(temporary / META, {**facts, "checksums": checksums})
                shutil.rmtree(folder, ignore_errors=True)  # cheap to build again, so no copy is kept
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an index back.

        Raises:
            WorkspaceDamaged: a file is missing or changed.
        """
        import bm25s

        meta = read_json(folder / META)
        if meta is None:
            raise WorkspaceDamaged(f"There is no word index in {folder}.", hint="Build it: python -m core index --model bm25 --corpus …")
        for name, checksum in meta["checksums"].items():
            if not (folder / name).is_file() or sha256_of(folder / name) != checksum:
                raise WorkspaceDamaged(f"{folder / name} does not match its checksum.", hint="Build the index again with --model bm25.")
        has_words = "params.index.json" in meta["checksums"]
        scorer = bm25s.BM25.load(folder, load_corpus=False, allow_pickle=False, show_progress=False) if has_words else None
        return cls(read_json(folder / "ids.json"), scorer)
