"""The search desk: build indexes as jobs, search, and say where a hit comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.identity import normalise
from core.domain.jobs import Job, JobKind
from core.domain.plans import IndexPlan
from core.domain.ranking import Ranking, document_of
from core.errors import NotFound
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.retrieval.corpora import VERSION_PREFIX, CorpusShelf, Versions
from core.retrieval.index_facts import IndexFacts
from core.retrieval.index_work import IndexWork, OpenEncoder
from core.retrieval.neighbours import NearTriples, TrainingNeighbours
from core.retrieval.service_client import ModelService
from core.retrieval.shelf import IndexShelf
from core.retrieval.systems import BM25, RUN_PREFIX, SystemCatalogue
from core.settings import Settings

VERSIONS_READ = 3  # for the instructions a searcher is offered


class IndexState(StrEnum):
    """Whether a corpus can be searched with a system."""

    READY = "ready"
    STALE = "stale"  # the corpus changed since
    BUILDING = "building"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class IndexStanding:
    """One corpus and one system."""

    corpus_id: str
    system: str
    label: str
    state: IndexState
    facts: IndexFacts | None
    job: Job | None  # the job at work, else the last one that failed or was stopped while there is no index


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a dataset version knows of a query: which documents answer it and which were trained as hard negatives."""

    version_id: str
    split: Split
    task: str
    positives: tuple[str, ...]  # document ids
    negatives: tuple[str, ...]
    triple_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where an index comes from: job -> training run -> dataset version."""

    facts: IndexFacts
    index_job: Job | None
    run: Job | None
    version: DatasetVersion | None


class SearchDesk:
    """Everything the Search page and the commands index and search ask for."""

    def __init__(
        self,
        jobs: JobBoard,
        corpora: CorpusShelf,
        systems: SystemCatalogue,
        service: ModelService,
        versions: Versions,
        settings: Settings,
        *,
        open_encoder: OpenEncoder | None = None,
    ) -> None:
        """`open_encoder` loads the model of an index job; absent: `core.encoder.open_encoder`."""
        self._jobs = jobs
        self._corpora = corpora
        self._systems = systems
        self._service = service
        self._versions = versions
        self._settings = settings
        self._open_encoder = open_encoder
        self._shelf = IndexShelf(settings)
        self._judged: dict[str, dict[str, list[Example]]] = {}  # version id -> query -> examples
        self._neighbours = TrainingNeighbours(systems, service, versions, self._shelf)

    def start_index(self, corpus_id: str, model: str, *, batch_size: int = 32) -> Job:
        """Encode a corpus with a system, as a job. One that is at it already is returned instead of a second one.

        Raises:
            NotFound: no such corpus or system.
        """
        corpus = self._corpora.get(corpus_id)
        version_id = None
        if model != BM25:
            self._systems.spec(model)
        if model.startswith(RUN_PREFIX):
            version_id = self._systems.run(model).dataset_version_id
        if (running := self._job_at_work(corpus.id, model)) is not None:
            return running
        plan = IndexPlan(corpus_id=corpus.id, model=model, batch_size=batch_size)
        return self._jobs.start(
            JobKind.INDEX, plan, title=f"Index {corpus.name} with {self._systems.label(model)}", dataset_version_id=version_id
        )

    def run_index(self, context: JobContext) -> dict[str, Any]:
        """Do an index job's work. A resumed one reuses every chunk of vectors that was finished."""
        return IndexWork(self._corpora, self._systems, self._settings, open_encoder=self._open_encoder).run(context)

    def standing(self, corpus_id: str, system: str) -> IndexStanding:
        """Whether a corpus can be searched with a system now.

        Raises:
            NotFound: no such corpus or system.
        """
        corpus = self._corpora.get(corpus_id)
        if system == BM25:  # made on first use
            return IndexStanding(corpus.id, system, self._systems.label(system), IndexState.READY, None, None)
        facts = self._shelf.facts(corpus.id, self._systems.spec(system))
        job = self._job_at_work(corpus.id, system)
        if job is not None:
            state = IndexState.BUILDING
        elif facts is None:
            state, job = IndexState.MISSING, self._last_failure(corpus.id, system)
        else:
            state = IndexState.READY if facts.corpus_hash == corpus.content_hash else IndexState.STALE
        return IndexStanding(corpus.id, system, self._systems.label(system), state, facts, job)

    def indexes(self) -> list[IndexFacts]:
        """All indexes on disk, with run and dataset version of each, by corpus and system."""
        return self._shelf.find()

    def search(
        self, corpus_id: str, systems: Sequence[str], query: str, task: str | None = None, k: int = 10, *, ask_ranks_of: Sequence[str] = ()
    ) -> dict[str, Ranking]:
        """What each system answers (see `ModelService.search`)."""
        return self._service.search(corpus_id, systems, query, task, k, ask_ranks_of=ask_ranks_of)

    def instructions(self, *, limit: int = 40) -> list[str]:
        """Tasks of the newest dataset versions, the most frequent first: what queries were trained with."""
        counts: Counter[str] = Counter()
        for version in list(self._versions.list())[:VERSIONS_READ]:
            counts.update(example.task for examples in self._by_query(version.id).values() for example in examples)
        return [task for task, _ in counts.most_common(limit)]

    def judgement(self, corpus_id: str, query: str) -> Judgement | None:
        """What the dataset version behind a `version:…` corpus knows of this query; None where it knows nothing."""
        if not corpus_id.startswith(VERSION_PREFIX):
            return None
        version = self._versions.get(corpus_id.removeprefix(VERSION_PREFIX))
        found = self._by_query(version.id).get(normalise(query))
        return _judgement(version.id, found) if found else None

    def heldout(self, version_id: str) -> list[Example]:
        """Held-out examples of a version, each query once."""
        examples = self._versions.examples(self._versions.get(version_id).id, Split.HELDOUT)
        return list({normalise(e.texts.query): e for e in reversed(examples)}.values())[::-1]

    def lineage(self, corpus_id: str, system: str) -> Lineage | None:
        """Where the index behind a hit comes from; None for BM25 and where there is no index."""
        if system == BM25:
            return None
        facts = self._shelf.facts(self._corpora.get(corpus_id).id, self._systems.spec(system))
        if facts is None:
            return None
        version = self._or_none(lambda: self._versions.get(str(facts.dataset_version_id))) if facts.dataset_version_id else None
        return Lineage(facts, self._job_or_none(facts.job_id), self._job_or_none(facts.run_id), version)

    def nearest_triples(self, system: str, query: str, task: str | None = None, *, count: int = 5) -> NearTriples:
        """Training examples of a tuned system whose queries are nearest to this one, as the system itself sees it.

        The first call of a run encodes its training queries; they are kept on disk.

        Raises:
            NothingToDo: the system was not trained here, or its run has no training examples.
        """
        return self._neighbours.nearest(system, query, task, count=count)

    def _by_query(self, version_id: str) -> dict[str, list[Example]]:
        """Examples of a version by their query; versions never change, so each is read once."""
        if version_id not in self._judged:
            by_query: dict[str, list[Example]] = {}
            for example in self._versions.examples(version_id):
                by_query.setdefault(normalise(example.texts.query), []).append(example)
            self._judged[version_id] = by_query
        return self._judged[version_id]

    def _jobs_of(self, corpus_id: str, system: str) -> list[Job]:
        jobs = self._jobs.find(JobKind.INDEX)
        return [job for job in jobs if job.plan.get("corpus_id") == corpus_id and job.plan.get("model") == system]

    def _job_at_work(self, corpus_id: str, system: str) -> Job | None:
        return next((job for job in self._jobs_of(corpus_id, system) if job.state.active), None)

    def _last_failure(self, corpus_id: str, system: str) -> Job | None:
        last = next(iter(self._jobs_of(corpus_id, system)), None)
        return last if last and last.state.resumable else None

    def _job_or_none(self, job_id: str | None) -> Job | None:
        return self._or_none(lambda: self._jobs.get(job_id)) if job_id else None

    @staticmethod
    def _or_none(find: Callable[[], Any]) -> Any:
        try:
            return find()
        except NotFound:
            return None


def _judgement(version_id: str, examples: Sequence[Example]) -> Judgement:
    first = examples[0]
    positives = {document_of(e.texts.positive).id: None for e in examples}
    negatives = {document_of(e.texts.negative).id: None for e in examples if e.texts.negative}
    return Judgement(
        version_id=version_id,
        split=Split.TRAIN if any(e.split is Split.TRAIN for e in examples) else Split.HELDOUT,
        task=first.task,
        positives=tuple(positives),
        negatives=tuple(i for i in negatives if i not in positives),
        triple_ids=tuple(e.triple_id for e in examples),
    )
