"""The work of an index job: encode a corpus and write its index."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from core.domain.encoder import EncoderSpec, Role
from core.domain.plans import IndexPlan
from core.domain.ranking import Corpus, Document
from core.encoder.text_encoder import TextEncoder
from core.encoder.vector_cache import VectorCache
from core.errors import NothingToDo
from core.jobs.context import JobContext
from core.retrieval.corpora import CorpusShelf
from core.retrieval.index_facts import IndexFacts
from core.retrieval.lexical import LexicalIndex
from core.retrieval.shelf import IndexShelf
from core.retrieval.systems import BM25, RUN_PREFIX, SystemCatalogue
from core.settings import Settings
from core.storage.database import now

OpenEncoder = Callable[[EncoderSpec, Settings], TextEncoder]


class IndexWork:
    """Done in the job's own process."""

    def __init__(
        self, corpora: CorpusShelf, systems: SystemCatalogue, settings: Settings, *, open_encoder: OpenEncoder | None = None
    ) -> None:
        self._corpora = corpora
        self._systems = systems
        self._settings = settings
        self._shelf = IndexShelf(settings)
        self._open_encoder = open_encoder

    def run(self, context: JobContext) -> dict[str, Any]:
        """Encode, index, save. `finished` is False where someone stopped it; the chunks that were done are kept.

        Raises:
            NothingToDo: the corpus is empty.
        """
        plan = IndexPlan(**context.plan)
        corpus = self._corpora.get(plan.corpus_id)
        documents = self._corpora.documents(corpus.id)
        if not documents:
            raise NothingToDo(f"{corpus.name} has no documents.", hint="Choose another corpus, or import one.")
        if plan.model == BM25:
            return self._index_words(context, corpus, documents)
        return self._index_vectors(context, plan, corpus, documents)

    def _index_words(self, context: JobContext, corpus: Corpus, documents: Sequence[Document]) -> dict[str, Any]:
        started = time.perf_counter()
        LexicalIndex.build(documents).save(self._shelf.lexical_folder(corpus.id), corpus_id=corpus.id, corpus_hash=corpus.content_hash)
        context.progress(len(documents), len(documents), "documents")
        return {"corpus_id": corpus.id, "system": BM25, "documents": len(documents), "seconds": round(time.perf_counter() - started, 2)}

    def _index_vectors(self, context: JobContext, plan: IndexPlan, corpus: Corpus, documents: Sequence[Document]) -> dict[str, Any]:
        from core.retrieval.index import VectorIndex  # faiss stays out of the web process

        spec = self._systems.spec(plan.model)
        started = time.perf_counter()
        context.progress(0, len(documents), "documents", "loading the model")
        encoder = self._open(spec)
        cache = VectorCache(self._shelf.vectors_folder, spec.fingerprint, role=Role.DOCUMENT)
        encoding = time.perf_counter()

        def tell(done: int, total: int) -> None:
            context.progress(done, total, "documents", f"{done / max(1e-9, time.perf_counter() - encoding):.0f} documents/s")

        vectors = cache.encode(
            [document.content for document in documents],
            lambda texts: encoder.encode(texts, role=Role.DOCUMENT, batch_size=plan.batch_size),
            on_progress=tell,
            stop_requested=context.stop_requested,
        )
        outcome: dict[str, Any] = {"corpus_id": corpus.id, "system": plan.model, "documents": len(documents)}
        if vectors is None:
            return {**outcome, "finished": False}
        run = self._systems.run(plan.model) if plan.model.startswith(RUN_PREFIX) else None
        seconds = round(time.perf_counter() - started, 2)
        facts = IndexFacts(
            corpus_id=corpus.id,
            corpus_hash=corpus.content_hash,
            system=plan.model,
            fingerprint=spec.fingerprint,
            encoder=spec.as_dict(),
            documents=len(documents),
            dimensions=int(vectors.shape[1]),
            job_id=context.job.id,
            run_id=run.id if run else None,
            dataset_version_id=run.dataset_version_id if run else None,
            built_at=now(),
            seconds=seconds,
        )
        folder = self._shelf.folder(corpus.id, spec)
        VectorIndex.build([document.id for document in documents], vectors).save(folder, facts)
        return {
            **outcome,
            "finished": True,
            "folder": str(folder),
            "fingerprint": spec.fingerprint,
            "dimensions": facts.dimensions,
            "reused": cache.report.reused,
            "seconds": seconds,
        }

    def _open(self, spec: EncoderSpec) -> TextEncoder:
        if self._open_encoder is not None:
            return self._open_encoder(spec, self._settings)
        from core.encoder.open_encoder import open_encoder

        return open_encoder(spec, self._settings)
