"""Wiring: settings -> gateways -> use cases, each built on first use.

Nothing heavy is imported here: models are loaded in the processes of jobs and in the model service only.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from typing import TYPE_CHECKING

from core.domain.jobs import JobKind, JobState
from core.domain.progress import Counts
from core.errors import StorageError
from core.jobs.board import JobBoard
from core.jobs.child import Work, run_child
from core.llm.keys import KeyRing
from core.settings import Settings
from core.storage.database import Database, from_os_error
from core.storage.jobs import JobStore
from core.storage.overview import count_everything

if TYPE_CHECKING:
    from core.evaluation.desk import EvaluationDesk
    from core.exploration.desk import ExplorationDesk
    from core.exploration.lesson import Lesson
    from core.generation.desk import GenerationDesk
    from core.generation.prompt_library import PromptLibrary
    from core.generation.task_book import TaskBook
    from core.retrieval.corpora import CorpusShelf
    from core.retrieval.desk import SearchDesk
    from core.retrieval.service_client import ModelService
    from core.retrieval.systems import SystemCatalogue
    from core.review.desk import ReviewDesk
    from core.review.shelf import DatasetShelf
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

    def run_job(self, job_id: str) -> JobState:
        """Do a job's work in this process: what `python -m core jobs run` calls."""
        work: dict[JobKind, Work] = {
            JobKind.BRAINSTORM: lambda context: self.generation.run_brainstorm(context),
            JobKind.GENERATE: lambda context: self.generation.run_generation(context),
            JobKind.TRAIN: lambda context: self.training.run(context),
            JobKind.INDEX: lambda context: self.search.run_index(context),
            JobKind.MAP: lambda context: self.exploration.run_map(context),
            JobKind.EVALUATE: lambda context: self.evaluation.run(context),
        }
        return run_child(job_id, self._job_store, work)

    def overview(self) -> Counts:
        """How much of everything there is."""
        return count_everything(self.database)

    def free_bytes(self) -> int:
        """Space left where the workspace lies."""
        try:
            return shutil.disk_usage(self.settings.workspace).free
        except OSError as error:
            raise StorageError(f"The workspace {self.settings.workspace} cannot be read.", hint="Check that it exists.") from error
