"""Evaluation as a job: systems x held-out queries -> a report with its uncertainty and its provenance."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from core.domain.dataset import Split
from core.domain.encoder import EncoderSpec
from core.domain.identity import plan_hash
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import EvaluationPlan
from core.encoder.text_encoder import TextEncoder
from core.errors import BadPlan, NotFound
from core.evaluation.collection import JudgedCollection, Overlap, heldout_collection, overlap_with
from core.evaluation.findings import by_attribute, compare_all, moved_queries, pairs_to_compare, query_table, summarise
from core.evaluation.report import as_html
from core.evaluation.scoring import SystemScores, score_encoder, score_words
from core.evaluation.shelf import CollectionShelf
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.retrieval.systems import BM25, RUN_PREFIX, SystemCatalogue
from core.storage.artifacts import read_json, write_json, write_text
from core.storage.database import now
from core.storage.versions import VersionStore

REPORT, PAGE = "report.json", "report.html"
PACKAGES = ("torch", "transformers", "peft", "numpy", "pytrec-eval-terrier", "bm25s", "safetensors")

OpenEncoder = Callable[[EncoderSpec], TextEncoder]


class EvaluationDesk:
    """Starts evaluations, does their work, reads their reports."""

    def __init__(
        self, jobs: JobBoard, versions: VersionStore, collections: CollectionShelf, systems: SystemCatalogue, open_encoder: OpenEncoder
    ) -> None:
        self._jobs = jobs
        self._versions = versions
        self.collections = collections
        self._systems = systems
        self._open_encoder = open_encoder

    def start(self, plan: EvaluationPlan) -> Job:
        """Check everything that can be wrong now, then start the job.

        Raises:
            NotFound: no such version or system. NothingToDo: nothing is held out. BadPlan: a system is named twice.
        """
        if len(set(plan.systems)) < len(plan.systems):
            raise BadPlan("A system is named twice.", hint="Name each system once.")
        for name in plan.systems:
            if name != BM25:
                self._systems.spec(name)
        plan = self._settled(plan)
        self.collection(plan)
        title = f"Evaluate {len(plan.systems)} systems on {self._test_name(plan)}"
        return self._jobs.start(JobKind.EVALUATE, plan, title=title, dataset_version_id=plan.dataset_version_id)

    def collection(self, plan: EvaluationPlan) -> JudgedCollection:
        """The test of a plan; nothing is encoded.

        Raises:
            NotFound: no such version or collection. NothingToDo: the version holds nothing out. BadRows: the collection is damaged.
        """
        if plan.collection is not None:
            return self.collections.get(plan.collection)
        version = self._versions.get(plan.dataset_version_id or "")
        return heldout_collection(self._versions.examples(version.id, Split.HELDOUT))

    def overlap(self, collection: str, version: str) -> Overlap:
        """Texts and tasks of a test collection that stand in the training side of a version.

        Raises:
            NotFound: no such collection or version. BadRows: the collection is damaged.
        """
        training = self._versions.examples(self._versions.get(version).id, Split.TRAIN)
        return overlap_with(self.collections.get(collection), training)

    def _settled(self, plan: EvaluationPlan) -> EvaluationPlan:
        """The plan with a version's id in place of its name, and a folder's whole path."""
        if plan.collection is not None:
            folder = Path(plan.collection)
            known = any(plan.collection == name for name, _ in self.collections.names())
            return plan if known else plan.model_copy(update={"collection": str(folder.resolve())})
        return plan.model_copy(update={"dataset_version_id": self._versions.get(plan.dataset_version_id or "").id})

    def _test_name(self, plan: EvaluationPlan) -> str:
        if plan.collection is not None:
            return self.collections.label(plan.collection)
        return self._versions.get(plan.dataset_version_id or "").name

    def reports(self) -> list[Job]:
        """Evaluations that are done, newest first."""
        return [job for job in self._jobs.find(JobKind.EVALUATE) if job.state is JobState.DONE]

    def report(self, job_id: str) -> dict[str, Any]:
        """The whole report.

        Raises:
            NotFound: no such evaluation, or it has no report yet.
        """
        found: dict[str, Any] | None = read_json(self._jobs.get(job_id).folder / REPORT)
        if found is None:
            raise NotFound(f"Evaluation {job_id} has no report.", hint="Wait until it is done, or resume it.")
        if "test" not in found:  # written before there were test collections
            version = found["version"]
            found["test"] = {"name": version["name"], "version": version["id"], "collection": None, "content_hash": version["content_hash"]}
        return found

    def page(self, job_id: str) -> str:
        """The report as one HTML file that needs nothing else."""
        return as_html(self.report(job_id))

    def run(self, context: JobContext) -> dict[str, Any]:
        """The job's work. Systems already scored in the job's folder are not scored again."""
        plan = EvaluationPlan.model_validate(context.plan)
        collection = self.collection(plan)
        found: dict[str, SystemScores] = {}
        for number, name in enumerate(plan.systems):
            if context.stop_requested():
                return {"scored": list(found)}
            context.emit("system", name=name, number=number + 1, of=len(plan.systems))
            found[name] = self._scored(context, plan, collection, name, number)
        report = self._report(plan, collection, found, context.job.id)
        write_json(context.folder / REPORT, report)
        write_text(context.folder / PAGE, as_html(report))
        return _short(report)

    def _scored(self, context: JobContext, plan: EvaluationPlan, collection: JudgedCollection, name: str, number: int) -> SystemScores:
        path = self._cache_path(context.folder, collection, name)
        texts = len(collection.queries) + len(collection.documents)
        done = number * texts

        def tell(count: int) -> None:
            nonlocal done
            done += count
            context.progress(done, texts * len(plan.systems), "texts", name)

        if (known := read_json(path)) is not None:
            tell(texts)
            return SystemScores.from_dict(known)
        tell(0)
        if name == BM25:
            scored = score_words(collection, done=tell)
        else:
            scored = score_encoder(collection, self._open_encoder(self._systems.spec(name)), seed=plan.seed, done=tell)
        write_json(path, scored.as_dict())
        return scored

    def _cache_path(self, folder: Path, collection: JudgedCollection, name: str) -> Path:
        """Named by encoder and test: a collection in a folder may change between a stop and a resume."""
        fingerprint = name if name == BM25 else self._systems.spec(name).fingerprint
        return folder / "scores" / f"{fingerprint}-{collection.content_hash[:16]}.json"

    def _report(self, plan: EvaluationPlan, collection: JudgedCollection, found: dict[str, SystemScores], job_id: str) -> dict[str, Any]:
        chance = {"samples": plan.bootstrap_samples, "seed": plan.seed}
        systems = summarise(found, **chance)
        for name, facts in systems.items():
            spec = None if name == BM25 else self._systems.spec(name)
            facts |= {"label": self._systems.label(name), "fingerprint": spec.fingerprint if spec else "bm25"}
            facts |= {"encoder": spec.as_dict() if spec else None}
        return {
            "job": job_id,
            "created_at": now(),
            "test": {
                "name": self._test_name(plan),
                "version": plan.dataset_version_id,
                "collection": plan.collection,
                "content_hash": collection.content_hash,
            },
            "queries": len(collection.queries),
            "documents": len(collection.documents),
            "tasks": len(collection.tasks),
            "systems": systems,
            "comparisons": compare_all(found, **chance),
            "by_group": by_attribute(collection, found, "group", **chance),
            "by_language": by_attribute(collection, found, "language", **chance),
            "by_task": by_attribute(collection, found, "task", **chance),
            "moved": [moved_queries(collection, found, a, b) for a, b in pairs_to_compare(list(found))],
            "overlap": self._overlaps(plan.dataset_version_id, collection, list(found)),
            "plan": plan.model_dump(mode="json"),
            "plan_hash": plan_hash(plan.model_dump(mode="json")),
            "packages": {"python": platform.python_version()} | {name: _version_of(name) for name in PACKAGES},
            "per_query": query_table(collection, found),
        }

    def _overlaps(self, version_id: str | None, collection: JudgedCollection, systems: list[str]) -> list[dict[str, Any]]:
        """What of the test lies in the training side of its version, and in the data each tuned run was trained on."""
        sources = {version_id: f"training side of {self._versions.get(version_id).name}"} if version_id else {}
        for name in (s for s in systems if s.startswith(RUN_PREFIX)):
            trained_on = self._jobs.get(name.removeprefix(RUN_PREFIX)).dataset_version_id
            if trained_on and trained_on not in sources:
                sources[trained_on] = f"data of {self._systems.label(name)} ({self._versions.get(trained_on).name})"
        return [
            {"with": label} | asdict(overlap_with(collection, self._versions.examples(source, Split.TRAIN)))
            for source, label in sources.items()
        ]


def _short(report: dict[str, Any]) -> dict[str, Any]:
    """What lists of jobs and the command line show; the rest stays in the report's file."""
    systems = {name: {k: v for k, v in facts.items() if k != "encoder"} for name, facts in report["systems"].items()}
    overlap = [{"with": o["with"]} | {k: len(o[k]) for k in ("queries", "documents", "tasks")} for o in report["overlap"]]
    kept = {k: report[k] for k in ("queries", "documents", "tasks", "test", "comparisons")}
    return {"systems": systems, **kept, "overlap": overlap, "report": REPORT, "page": PAGE}


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
