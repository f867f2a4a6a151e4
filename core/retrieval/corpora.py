"""All corpora one can search: the demo corpus, imported ones, and the documents of every dataset version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.ranking import Corpus, Document, content_hash_of, document_of
from core.errors import BadInput, NotFound, StorageError
from core.retrieval.corpus_files import BadRow, format_of, read_documents
from core.retrieval.demo_corpus import demo_source, gather_demo_corpus
from core.storage.corpora import CorpusStore

DEMO = "demo"
VERSION_PREFIX = "version:"


class Versions(Protocol):
    """What is needed of `core.storage.versions.VersionStore`."""

    def list(self) -> Sequence[DatasetVersion]:
        """All versions."""
        ...

    def get(self, version: str, /) -> DatasetVersion:
        """One version by id or name."""
        ...

    def examples(self, version_id: str, /, split: Split | None = None) -> Sequence[Example]:
        """Its examples."""
        ...


@dataclass(frozen=True, slots=True)
class ImportedCorpus:
    """What an import did."""

    corpus: Corpus
    bad: tuple[BadRow, ...]
    duplicates: int  # rows whose text stood above already


class CorpusShelf:
    """Corpora by id: `demo`, `version:<dataset version id>`, or the id an import gave."""

    def __init__(self, store: CorpusStore, versions: Versions) -> None:
        self._store = store
        self._versions = versions
        self._version_corpora: dict[str, Corpus] = {}  # versions never change, so their corpora are counted once

    def find(self) -> list[Corpus]:
        """Demo first, then imported corpora by age, then dataset versions as they are listed."""
        stored = [c for c in self._store.find() if c.id != DEMO]
        return [self.ensure_demo_corpus(), *stored, *(self.version_corpus(v.id) for v in self._versions.list())]

    def get(self, corpus_id: str) -> Corpus:
        """One corpus; the demo corpus is made on first use.

        Raises:
            NotFound: no such corpus.
        """
        if corpus_id == DEMO:
            return self.ensure_demo_corpus()
        if corpus_id.startswith(VERSION_PREFIX):
            return self.version_corpus(corpus_id.removeprefix(VERSION_PREFIX))
        return self._store.get(corpus_id)

    def documents(self, corpus_id: str) -> list[Document]:
        """All documents of a corpus, in their order.

        Raises:
            NotFound: no such corpus.
        """
        if corpus_id.startswith(VERSION_PREFIX):
            return version_documents(self._versions.examples(self._version(corpus_id.removeprefix(VERSION_PREFIX)).id))
        return self._store.documents(self.get(corpus_id).id)

    def ensure_demo_corpus(self) -> Corpus:
        """The Python documentation inside the interpreter; gathered once (about half a second), then stored."""
        try:
            return self._store.get(DEMO)
        except NotFound:
            passages = gather_demo_corpus()
        try:
            return self._store.add(DEMO, "Python documentation", demo_source(), passages)
        except StorageError:  # another process stored it between our look and our write
            return self._store.get(DEMO)

    def version_corpus(self, version_id: str) -> Corpus:
        """Positives and negatives of a dataset version, both splits, each text once."""
        version = self._version(version_id)
        if version.id not in self._version_corpora:
            passages = version_documents(self._versions.examples(version.id))
            self._version_corpora[version.id] = Corpus(
                id=f"{VERSION_PREFIX}{version.id}",
                name=f"Version {version.name}",
                source=f"positives and hard negatives of dataset version {version.name}",
                documents=len(passages),
                content_hash=content_hash_of(passages),
                created_at=version.created_at,
            )
        return self._version_corpora[version.id]

    def import_corpus(
        self, name: str, content: bytes | Path, file_format: str | None = None, *, replace: bool = False, origin: str | None = None
    ) -> ImportedCorpus:
        """Store the documents of a file as a corpus. Good rows are kept, bad ones are reported with their line.

        Args:
            name: what people call it; must be free unless `replace`.
            content: the bytes, or the path of a file.
            file_format: txt | csv | tsv | jsonl | zip; by the path's ending where absent.
            origin: where it comes from, in words; the path's name where absent.
            replace: take the place of the corpus of this name; its indexes become stale.

        Raises:
            BadInput: the name is empty or taken, or the file is not of its format.
            BadRows: no row can be used.
        """
        corpus_id = _id_of(name)
        if not replace and any(c.name == name.strip() or c.id == corpus_id for c in self._store.find()):
            raise BadInput(f"There is a corpus named {name.strip()} already.", hint="Choose another name, or replace it.")
        data, path_name = _bytes_of(content)
        origin = origin or path_name
        read = read_documents(data, file_format or format_of(origin or ""))
        corpus = self._store.add(corpus_id, name.strip(), f"imported from {origin or 'an upload'}", read.documents)
        return ImportedCorpus(corpus, read.bad, read.duplicates)

    def import_upload(self, name: str, filename: str, data: bytes, *, replace: bool = False) -> ImportedCorpus:
        """`import_corpus` of a file that a browser sent; its format is told by the end of its name."""
        return self.import_corpus(name, data, format_of(filename), replace=replace, origin=filename)

    def versions(self) -> Sequence[DatasetVersion]:
        """Dataset versions, as their store lists them."""
        return self._versions.list()

    def _version(self, version_id: str) -> DatasetVersion:
        return self._versions.get(version_id)


def version_documents(examples: Iterable[Example]) -> list[Document]:
    """Documents of examples, each text once, ordered by first appearance; the id is the hash of the text."""
    found: dict[str, Document] = {}
    for example in examples:
        for text in (example.texts.positive, example.texts.negative):
            if text:
                document = document_of(text)
                found.setdefault(document.id, document)
    return list(found.values())


def _id_of(name: str) -> str:
    slug = re.sub(r"[^\w-]+", "-", name.strip().lower()).strip("-")
    if not slug or slug == DEMO:
        raise BadInput(f"{name!r} cannot be the name of a corpus.", hint="Use some letters or digits, and not `demo`.")
    return f"corpus-{slug}"


def _bytes_of(content: bytes | Path) -> tuple[bytes, str | None]:
    if isinstance(content, bytes):
        return content, None
    try:
        return content.read_bytes(), content.name
    except OSError as error:
        raise BadInput(f"{content} cannot be read: {error.strerror}.", hint="Check the path and its permissions.") from error
