"""Where indexes lie: one folder for each corpus and encoder."""

from __future__ import annotations

from pathlib import Path

from core.domain.encoder import EncoderSpec
from core.errors import BadInput
from core.retrieval.index_facts import IndexFacts, read_facts
from core.settings import Settings


class IndexShelf:
    """Index folders of a workspace."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.workspace / "indexes"
        self.vectors_folder = settings.workspace / "vectors"  # of the VectorCache

    def folder(self, corpus_id: str, spec: EncoderSpec) -> Path:
        """Folder of the vector index of a corpus by an encoder."""
        return self._corpus(corpus_id) / spec.fingerprint

    def lexical_folder(self, corpus_id: str) -> Path:
        """Folder of the word index of a corpus."""
        return self._corpus(corpus_id) / "bm25"

    def facts(self, corpus_id: str, spec: EncoderSpec) -> IndexFacts | None:
        """What an index is; None where there is none."""
        return read_facts(self.folder(corpus_id, spec))

    def find(self) -> list[IndexFacts]:
        """All vector indexes, by corpus and system."""
        found = [facts for path in sorted(self._root.glob("*/*/meta.json")) if (facts := read_facts(path.parent))]
        return sorted(found, key=lambda f: (f.corpus_id, f.system, f.fingerprint))

    def _corpus(self, corpus_id: str) -> Path:
        name = corpus_id.replace(":", "-")
        if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
            raise BadInput(f"{corpus_id!r} cannot be the id of a corpus.", hint="Use demo, version:<id> or the id an import gave.")
        return self._root / name
