"""Wiring: settings -> gateways -> use cases, each built on first use.

Nothing heavy is imported here: models are loaded in the processes of jobs and in the model service only.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from core.domain.encoder import EncoderSpec
from core.domain.jobs import JobKind, JobState
from core.domain.progress import Counts
from core.errors import StorageError
from core.jobs.board import JobBoard
from core.jobs.child import Work, run_child
from core.llm.keys import KeyRing
from core.settings import PROJECT_FOLDER, Settings
from core.storage.database import Database, from_os_error
from core.storage.jobs import JobStore
from core.storage.overview import count_everything

if TYPE_CHECKING:
    from core.encoder.text_encoder import TextEncoder
    from core.evaluation.desk import EvaluationDesk
    from core.exploration.desk import ExplorationDesk
    from core.exploration.lesson import Lesson
    from core.generation.checks.desk import CheckDesk
    from core.generation.desk import GenerationDesk
    from core.generation.prompts.prompt_library import PromptLibrary
    from core.generation.prompts.trial import PromptTrial
    from core.generation.replies.rereading import ReplyShelf
    from core.generation.sending.endpoint_book import EndpointBook
    from core.generation.sending.teachers import Teachers
    from core.generation.task_book import TaskBook
    from core.retrieval.corpora import CorpusShelf
    from core.retrieval.desk import SearchDesk
    from core.retrieval.service_client import ModelService
    from core.retrieval.systems import SystemCatalogue
    from core.review.desk import ReviewDesk
    from core.review.shelf import DatasetShelf
    from core.shipped.verify import Verdict
    from core.training.desk import TrainingDesk


class Workbench:
    """Everything a page or the command line can ask for."""

    def __init__(self, settings: Settings | None = None, *, keys: KeyRing | None = None) -> None:
        self.settings = settings or Settings()
        self.keys = keys or KeyRing()
        self.database = Database(self.settings.sqlalchemy_url)
        try:
            self.settings.jobs_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error) from error
        self.database.migrate()

    @cached_property
    def _job_store(self) -> JobStore:
        return JobStore(self.database, self.settings.jobs_folder)

    @cached_property
    def jobs(self) -> JobBoard:
        """Long work."""
        return JobBoard(self._job_store, self.settings, environment=self.keys.environment)

    @cached_property
    def prompts(self) -> PromptLibrary:
        """Templates, their versions and what each brought."""
        from core.generation.prompts.prompt_library import PromptLibrary
        from core.storage.ledger import Ledger
        from core.storage.prompts import PromptStore
        from core.storage.tasks import TaskStore

        return PromptLibrary(PromptStore(self.database), TaskStore(self.database), Ledger(self.database))

    @cached_property
    def tasks(self) -> TaskBook:
        """Tasks: proposed, accepted, rejected."""
        from core.generation.task_book import TaskBook
        from core.storage.tasks import TaskStore

        return TaskBook(TaskStore(self.database))

    @cached_property
    def generation(self) -> GenerationDesk:
        """Plans of brainstorms and examples, and the jobs that carry them out."""
        from core.generation.desk import GenerationDesk
        from core.generation.sending.batch_desk import BatchDesk
        from core.storage.batches import BatchStore
        from core.storage.ledger import Ledger
        from core.storage.tasks import TaskStore
        from core.storage.triples import TripleStore

        stores = Ledger(self.database), TaskStore(self.database), TripleStore(self.database)
        batches = BatchDesk(BatchStore(self.database), self._teachers.open_batches)
        return GenerationDesk(self.jobs, *stores, self.prompts, open_model=self._teachers.open, check=self.checks.check, batches=batches)

    @cached_property
    def checks(self) -> CheckDesk:
        """Checks that need no person, with the workspace's thresholds."""
        from core.generation.checks.desk import CheckDesk
        from core.storage.preferences import PreferenceStore
        from core.storage.triples import TripleStore

        stores = TripleStore(self.database), PreferenceStore(self.database)
        return CheckDesk(self.jobs, *stores, self.settings.workspace / "checks", self._open_encoder)

    @cached_property
    def replies(self) -> ReplyShelf:
        """Stored replies that brought nothing."""
        from core.generation.replies.reply_readers import ExampleReader, TaskReader
        from core.generation.replies.rereading import ReplyShelf
        from core.storage.ledger import Ledger
        from core.storage.replies import StoredReplies
        from core.storage.tasks import TaskStore
        from core.storage.triples import TripleStore

        tasks = TaskStore(self.database)
        examples = ExampleReader(TripleStore(self.database), tasks, self.checks.check)
        return ReplyShelf(Ledger(self.database), StoredReplies(self.database), examples, TaskReader(tasks))

    @cached_property
    def endpoints(self) -> EndpointBook:
        """Language model endpoints by name, without their keys."""
        from core.generation.sending.endpoint_book import EndpointBook
        from core.storage.preferences import PreferenceStore

        return EndpointBook(PreferenceStore(self.database), self._teachers, self.settings)

    @cached_property
    def trial(self) -> PromptTrial:
        """One real call with a prompt."""
        from core.generation.prompts.trial import PromptTrial

        return PromptTrial(self._teachers, lambda request: self.service.chat(request))

    @cached_property
    def _teachers(self) -> Teachers:
        from core.generation.sending.capabilities import CapabilityBook
        from core.generation.sending.teachers import Teachers
        from core.storage.preferences import PreferenceStore

        return Teachers(self.settings, self.keys, CapabilityBook(PreferenceStore(self.database)))

    @cached_property
    def training(self) -> TrainingDesk:
        """Training plans and runs."""
        from core.storage.versions import VersionStore
        from core.training.desk import TrainingDesk

        return TrainingDesk(self.jobs, VersionStore(self.database), self.settings)

    @cached_property
    def evaluation(self) -> EvaluationDesk:
        """Systems compared on held-out tasks."""
        from core.evaluation.desk import EvaluationDesk
        from core.evaluation.shelf import CollectionShelf
        from core.storage.versions import VersionStore

        shelf = CollectionShelf(shipped=PROJECT_FOLDER / "data" / "heldout", folder=self.settings.workspace / "collections")
        return EvaluationDesk(self.jobs, VersionStore(self.database), shelf, self.systems, self._open_encoder)

    @cached_property
    def exploration(self) -> ExplorationDesk:
        """Maps of texts."""
        from core.exploration.desk import ExplorationDesk
        from core.storage.triples import TripleStore
        from core.storage.versions import VersionStore

        stores = VersionStore(self.database), TripleStore(self.database)
        return ExplorationDesk(self.jobs, *stores, self.corpora, self.systems, self._open_encoder)

    @cached_property
    def lesson(self) -> Lesson:
        """The Learn page's experiments."""
        from core.exploration.lesson import Lesson

        return Lesson(self.service, self.systems)

    def _open_encoder(self, spec: EncoderSpec) -> TextEncoder:
        from core.encoder.open_encoder import open_encoder  # loads torch: only processes of jobs come here

        return open_encoder(spec, self.settings)

    @cached_property
    def systems(self) -> SystemCatalogue:
        """Everything that can rank documents, by name."""
        from core.retrieval.systems import SystemCatalogue

        return SystemCatalogue(self.jobs, self.settings)

    @cached_property
    def service(self) -> ModelService:
        """Client of the model service, which runs in a process of its own."""
        from core.retrieval.service_client import ModelService

        return ModelService(self.settings, environment=self.keys.environment)

    @cached_property
    def corpora(self) -> CorpusShelf:
        """Documents to search in."""
        from core.retrieval.corpora import CorpusShelf
        from core.storage.corpora import CorpusStore
        from core.storage.versions import VersionStore

        return CorpusShelf(CorpusStore(self.database), VersionStore(self.database))

    @cached_property
    def search(self) -> SearchDesk:
        """Indexes and search."""
        from core.retrieval.desk import SearchDesk
        from core.storage.versions import VersionStore

        return SearchDesk(self.jobs, self.corpora, self.systems, self.service, VersionStore(self.database), self.settings)

    @cached_property
    def review(self) -> ReviewDesk:
        """The queue of triples and the decisions on them."""
        from core.review.desk import ReviewDesk
        from core.storage.decisions import DecisionStore
        from core.storage.triples import TripleStore

        return ReviewDesk(TripleStore(self.database), DecisionStore(self.database), self.checks.check)

    @cached_property
    def dataset(self) -> DatasetShelf:
        """All triples, and the versions frozen of them."""
        from core.review.shelf import DatasetShelf, Stores
        from core.storage.decisions import DecisionStore
        from core.storage.tasks import TaskStore
        from core.storage.triples import TripleStore
        from core.storage.versions import VersionStore

        stores = Stores(TripleStore(self.database), DecisionStore(self.database), VersionStore(self.database), TaskStore(self.database))
        return DatasetShelf(stores, self.jobs, self.checks.check, starter_folder=PROJECT_FOLDER / "data" / "starter")

    def verify_shipped(self, data: Path | None = None) -> Verdict:
        """Recount and check the data that ships with the project, or a folder laid out like it."""
        from core.shipped.verify import verify

        return verify(data or PROJECT_FOLDER / "data", self._open_encoder(EncoderSpec.baseline()))

    def run_job(self, job_id: str) -> JobState:
        """Do a job's work in this process: what `python -m core jobs run` calls."""
        work: dict[JobKind, Work] = {
            JobKind.BRAINSTORM: lambda context: self.generation.run_brainstorm(context),
            JobKind.GENERATE: lambda context: self.generation.run_generation(context),
            JobKind.CHECK: lambda context: self.checks.run(context),
            JobKind.TRAIN: lambda context: self.training.run(context),
            JobKind.INDEX: lambda context: self.search.run_index(context),
            JobKind.MAP: lambda context: self.exploration.run_map(context),
            JobKind.EVALUATE: lambda context: self.evaluation.run(context),
        }
        return run_child(job_id, self._job_store, work)

    def overview(self) -> Counts:
        """How much of everything there is."""
        runs = Counter(job.state.value for job in self.jobs.find(JobKind.TRAIN))  # a lost run is told by its process, not by its row
        return replace(count_everything(self.database), runs=runs)

    def free_bytes(self) -> int:
        """Space left where the workspace lies."""
        try:
            return shutil.disk_usage(self.settings.workspace).free
        except OSError as error:
            raise StorageError(f"The workspace {self.settings.workspace} cannot be read.", hint="Check that it exists.") from error
