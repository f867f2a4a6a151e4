"""A workspace with documents, an engine over word vectors, and a dataset version."""

from __future__ import annotations

import pytest

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.encoder import EncoderSpec
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.triple import Texts
from core.errors import NotFound
from core.retrieval.corpora import CorpusShelf
from core.retrieval.engine import SearchEngine
from core.retrieval.systems import SystemCatalogue
from core.settings import Settings
from core.storage.corpora import CorpusStore
from core.storage.database import Database
from tests.core.retrieval.fakes import open_words

VERSION = DatasetVersion("v1id", "first", "hash", 2, 1, {}, None, "2026-01-01T00:00:00.000+00:00")
EXAMPLES = [
    Example(
        "t1",
        TaskGroup.SHORT_LONG,
        "Find advice.",
        Texts("yellow leaves", "too much water", "ginkgo in autumn"),
        "English",
        None,
        Split.TRAIN,
    ),
    Example("t2", TaskGroup.SHORT_LONG, "Find advice.", Texts("dry soil", "water at dawn", "too much water"), "English", None, Split.TRAIN),
    Example(
        "t3", TaskGroup.SHORT_LONG, "Find cures.", Texts("white spots", "spray with soap", "a white rose"), "English", None, Split.HELDOUT
    ),
]


class OneVersion:
    """A VersionStore with one version."""

    def list(self):
        return [VERSION]

    def get(self, version):
        if version not in (VERSION.id, VERSION.name):
            raise NotFound(f"no version {version}", hint="freeze one")
        return VERSION

    def examples(self, version_id, split=None):
        return [e for e in EXAMPLES if split in (None, e.split)]


class Board:
    """Jobs as a list."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def get(self, job_id):
        found = next((job for job in self.jobs if job.id == job_id), None)
        if found is None:
            raise NotFound(f"There is no job {job_id}.", hint="List them.")
        return found

    def find(self, kind=None, *, limit=200):
        return [job for job in self.jobs if kind in (None, job.kind)]


def make_run(job_id: str, folder, *, state: JobState = JobState.DONE, encoder: EncoderSpec | None = None) -> Job:
    result = {"encoder": encoder.as_dict()} if encoder else {}
    return Job(job_id, JobKind.TRAIN, "Train on first", state, {}, "hash", folder, dataset_version_id=VERSION.id, result=result)


@pytest.fixture
def settings(workspace) -> Settings:
    return Settings(workspace=workspace)


@pytest.fixture
def shelf(settings) -> CorpusShelf:
    database = Database(settings.sqlalchemy_url)
    database.migrate()
    return CorpusShelf(CorpusStore(database), OneVersion())


@pytest.fixture
def tuned() -> EncoderSpec:
    return EncoderSpec(adapter="/somewhere/adapter", adapter_hash="abc")


@pytest.fixture
def board(tmp_path, tuned) -> Board:
    return Board(
        [
            make_run("train-done", tmp_path, encoder=tuned),
            make_run("train-stopped", tmp_path, state=JobState.STOPPED, encoder=tuned),
            make_run("train-queued", tmp_path, state=JobState.QUEUED, encoder=tuned),
            make_run("train-young", tmp_path, state=JobState.RUNNING),
        ]
    )


@pytest.fixture
def catalogue(board, settings) -> SystemCatalogue:
    return SystemCatalogue(board, settings)


@pytest.fixture
def engine(catalogue, shelf, settings) -> SearchEngine:
    return SearchEngine(catalogue, shelf, settings, open_encoder=open_words)
