"""Wiring: settings -> gateways -> use cases, each built on first use.

Nothing heavy is imported here: models are loaded in the processes of jobs and in the model service only.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from core.generation.comparison import PromptComparisons
    from core.generation.desk import GenerationDesk
    from core.generation.prompts.prompt_library import PromptLibrary
    from core.generation.prompts.trial import PromptTrial
    from core.generation.replies.rereading import ReplyShelf
    from core.generation.rewriting import FieldRewriter
    from core.generation.sending.endpoint_book import EndpointBook
    from core.generation.sending.teachers import Teachers
    from core.generation.task_book import TaskBook
    from core.retrieval.corpora import CorpusShelf
    from core.retrieval.desk import SearchDesk
    from core.retrieval.service_client import ModelService
    from core.retrieval.systems import SystemCatalogue
    from core.review.candidates import CandidateFinder
    from core.review.desk import ReviewDesk
    from core.review.likeness import TripleLikeness
    from core.review.mining import NegativeMiner
    from core.review.shelf import DatasetShelf
    from core.shipped.verify import Verdict
    from core.storage.yields import YieldStore
    from core.training.desk import TrainingDesk
    from core.training.export import ExportForm


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
        """Templates and their versions."""
        from core.generation.prompts.prompt_library import PromptLibrary
        from core.storage.prompts import PromptStore
        from core.storage.tasks import TaskStore

        return PromptLibrary(PromptStore(self.database), TaskStore(self.database))

    @cached_property
    def yields(self) -> YieldStore:
        """What requests brought by prompt version, group, language or model, and for how much."""
        from core.storage.yields import YieldStore

        return YieldStore(self.database)

    @cached_property
    def tasks(self) -> TaskBook:
        """Tasks: proposed, accepted, rejected."""
        from core.generation.task_book import TaskBook
        from core.storage.tasks import TaskStore

        return TaskBook(TaskStore(self.database))

    @cached_property
    def generation(self) -> GenerationDesk:
        """Plans of brainstorms and examples, and the jobs that carry them out."""
        from core.generation.checks.side_process import SideChecks
        from core.generation.desk import GenerationDesk
        from core.generation.sending.batch_desk import BatchDesk
        from core.storage.batches import BatchStore
        from core.storage.ledger import Ledger
        from core.storage.tasks import TaskStore
        from core.storage.triples import TripleStore

        stores = Ledger(self.database), TaskStore(self.database), TripleStore(self.database)
        batches = BatchDesk(BatchStore(self.database), self._teachers.open_batches)
        return GenerationDesk(
            self.jobs, *stores, self.prompts, open_model=self._teachers.open, check=self.checks.check,
            side_checks=lambda: SideChecks(self.checks.current), batches=batches,
        )  # fmt: skip

    @cached_property
    def comparisons(self) -> PromptComparisons:
        """Two versions of a prompt on the same tasks."""
        from core.generation.comparison import PromptComparisons
        from core.storage.tasks import TaskStore

        return PromptComparisons(self.generation, self.jobs, self.prompts, TaskStore(self.database), self.yields)

    @cached_property
    def rewriting(self) -> FieldRewriter:
        """One text of a triple, written anew."""
        from core.generation.request_planner import RequestPlanner
        from core.generation.rewriting import FieldRewriter
        from core.storage.ledger import Ledger
        from core.storage.tasks import TaskStore

        planner = RequestPlanner(self.prompts, TaskStore(self.database))
        return FieldRewriter(self.generation, self.jobs, Ledger(self.database), self.prompts, planner)

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

        return TrainingDesk(self.jobs, VersionStore(self.database), self.settings, weights=lambda: self.dataset.weights())

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
        from core.review.people import ReviewTeam
        from core.storage.decisions import DecisionStore
        from core.storage.leases import LeaseStore
        from core.storage.preferences import PreferenceStore
        from core.storage.triples import TripleStore

        decisions = DecisionStore(self.database)
        team = ReviewTeam(decisions, LeaseStore(self.database), PreferenceStore(self.database))
        return ReviewDesk(TripleStore(self.database), decisions, self.checks.check, team=team)

    @cached_property
    def dataset(self) -> DatasetShelf:
        """All triples, and the versions frozen of them."""
        from core.review.shelf import DatasetShelf, Stores
        from core.storage.decisions import DecisionStore
        from core.storage.preferences import PreferenceStore
        from core.storage.tasks import TaskStore
        from core.storage.triples import TripleStore
        from core.storage.versions import VersionStore

        tables = TripleStore(self.database), DecisionStore(self.database), VersionStore(self.database)
        stores = Stores(*tables, TaskStore(self.database), PreferenceStore(self.database))
        return DatasetShelf(stores, self.jobs, self.checks.check, starter_folder=PROJECT_FOLDER / "data" / "starter")

    @cached_property
    def mining(self) -> NegativeMiner:
        """Hard negatives for triples without one."""
        from core.review.mining import NegativeMiner
        from core.storage.decisions import DecisionStore
        from core.storage.triples import TripleStore

        stores = TripleStore(self.database), DecisionStore(self.database)
        return NegativeMiner(self.jobs, *stores, self.checks.check, self._open_encoder)

    @cached_property
    def likeness(self) -> TripleLikeness:
        """Triples that mean nearly the same as one."""
        from core.review.likeness import TripleLikeness
        from core.storage.triples import TripleStore

        return TripleLikeness(self.jobs, TripleStore(self.database), self._open_encoder, self.settings.workspace / "likeness")

    @cached_property
    def candidates(self) -> CandidateFinder:
        """Documents that could be the hard negative of one triple."""
        from core.review.candidates import CandidateFinder
        from core.storage.triples import TripleStore

        return CandidateFinder(TripleStore(self.database), lambda texts, role: self.service.embed("baseline", texts, role))

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
            JobKind.MINE: lambda context: self.mining.run(context),
            JobKind.LIKEN: lambda context: self.likeness.run(context),
            JobKind.REWRITE: lambda context: self.rewriting.run(context),
            JobKind.TRAIN: lambda context: self.training.run(context),
            JobKind.EXPORT: lambda context: self.training.exports.run(context, self.export_model),
            JobKind.INDEX: lambda context: self.search.run_index(context),
            JobKind.MAP: lambda context: self.exploration.run_map(context),
            JobKind.EVALUATE: lambda context: self.evaluation.run(context),
        }
        return run_child(job_id, self._job_store, work, line=self.jobs.line)

    def export_model(
        self,
        run_id: str,
        folder: Path,
        *,
        form: ExportForm,
        steps: Sequence[int] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> dict[str, Any]:
        """A tuned model as a folder, its card with what evaluations found (see TrainingDesk.export)."""
        from core.training.model_card import ReportedScore

        run = self.jobs.get(run_id.removeprefix("run:"))
        scores: dict[str, ReportedScore] = {}  # by test
        for report in () if steps else (self.evaluation.report(job.id) for job in self.evaluation.reports()):  # nobody evaluated an average
            found, test = report["systems"].get(f"run:{run.id}"), report["test"]
            if not found or found.get("fingerprint") != run.result.get("fingerprint", "") or test["content_hash"] in scores:
                continue  # another adapter, as before a resume, or older than one we have
            score = found["ndcg_at_10"]
            scores[test["content_hash"]] = ReportedScore(test["name"], report["queries"], score["mean"], score["low"], score["high"])
        return self.training.export(run.id, folder, form=form, steps=steps, scores=list(scores.values()), tell=tell)

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
