"""Corpora and their documents: written once, read in order, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, insert, select

from core.domain.ranking import Corpus, Document, content_hash_of
from core.errors import NotFound
from core.storage.database import Database, now
from core.storage.schema import corpora, documents

ROWS_A_STATEMENT = 500


class CorpusStore:
    """Corpora in, documents out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, corpus_id: str, name: str, source: str, passages: Sequence[Document]) -> Corpus:
        """Store a corpus in one transaction; one with the same id is replaced (its indexes then count as stale)."""
        corpus = Corpus(corpus_id, name, source, len(passages), content_hash_of(passages), now())
        rows = [{"corpus_id": corpus_id, "id": d.id, "position": i, "title": d.title, "text": d.text} for i, d in enumerate(passages)]
        with self._database.transaction() as connection:
            connection.execute(delete(documents).where(documents.c.corpus_id == corpus_id))
            connection.execute(delete(corpora).where(corpora.c.id == corpus_id))
            connection.execute(
                insert(corpora).values(
                    id=corpus.id,
                    name=corpus.name,
                    source=corpus.source,
                    documents=corpus.documents,
                    content_hash=corpus.content_hash,
                    created_at=corpus.created_at,
                )
            )
            for start in range(0, len(rows), ROWS_A_STATEMENT):
                connection.execute(insert(documents), rows[start : start + ROWS_A_STATEMENT])
        return corpus

    def find(self) -> list[Corpus]:
        """All stored corpora, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(corpora).order_by(corpora.c.created_at, corpora.c.id)).mappings()
            return [_corpus(row) for row in rows]

    def get(self, corpus_id: str) -> Corpus:
        """One corpus by its id or name.

        Raises:
            NotFound: no such corpus.
        """
        matches = (corpora.c.id == corpus_id) | (corpora.c.name == corpus_id)
        query = select(corpora).where(matches).order_by((corpora.c.id == corpus_id).desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(
                f"There is no corpus {corpus_id}.", hint="Import it on the Search page, or use demo or version:<dataset version>."
            )
        return _corpus(row)

    def documents(self, corpus_id: str) -> list[Document]:
        """All documents in their order."""
        query = select(documents.c.id, documents.c.text, documents.c.title).where(documents.c.corpus_id == corpus_id)
        with self._database.reading() as connection:
            return [Document(i, text, title) for i, text, title in connection.execute(query.order_by(documents.c.position))]


def _corpus(row: RowMapping) -> Corpus:
    return Corpus(row["id"], row["name"], row["source"], row["documents"], row["content_hash"], row["created_at"])
