"""Maps as jobs: started once for equal texts and encoders, then read as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.domain.encoder import EncoderSpec
from core.domain.identity import plan_hash
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import MapPlan
from core.encoder.text_encoder import TextEncoder
from core.errors import NotFound, NothingToDo, WorkspaceDamaged
from core.exploration.atlas import Vectors, distinct_texts, encode_all, map_table
from core.exploration.points import Point, content_hash, points_of_documents, points_of_examples, points_of_records
from core.exploration.projection import Layout, project, project_beside
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.retrieval.corpora import CorpusShelf
from core.retrieval.systems import SystemCatalogue
from core.storage.database import translated_errors
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore

TABLE = "points.parquet"
FEWEST = 3  # points a map makes sense with

OpenEncoder = Callable[[EncoderSpec], TextEncoder]


class ExplorationDesk:
    """Starts maps, does their work, reads their points."""

    def __init__(
        self,
        jobs: JobBoard,
        versions: VersionStore,
        triples: TripleStore,
        corpora: CorpusShelf,
        systems: SystemCatalogue,
        open_encoder: OpenEncoder,
    ) -> None:
        self._jobs = jobs
        self._versions = versions
        self._triples = triples
        self._corpora = corpora
        self._systems = systems
        self._open_encoder = open_encoder

    def start_map(self, plan: MapPlan) -> Job:
        """The job of this map: the one that is done or at work where texts, encoders and settings are equal, else a new one.

        Raises:
            NotFound: no such version, corpus or model. NothingToDo: fewer than three texts.
        """
        plan, source, count = self._fixed(plan)
        wanted = plan_hash(plan.model_dump(mode="json"))
        for job in self._jobs.find(JobKind.MAP):
            if job.plan_hash == wanted and (job.state.active or (job.state is JobState.DONE and (job.folder / TABLE).exists())):
                return job
        models = " and ".join(self._systems.label(name) for name in plan.models)
        title = f"Map of {count} texts of {source} by {models}"
        return self._jobs.start(JobKind.MAP, plan, title=title, dataset_version_id=plan.dataset_version_id)

    def maps(self) -> list[Job]:
        """Maps that can be looked at, newest first."""
        return [job for job in self._jobs.find(JobKind.MAP) if job.state is JobState.DONE and (job.folder / TABLE).exists()]

    def points(self, map_id: str) -> pd.DataFrame:
        """The map's table (see `map_table`), with each triple's verdict as it is now.

        Raises:
            NotFound: no such map, or it is not done. WorkspaceDamaged: its file cannot be read.
        """
        path = self._jobs.get(map_id).folder / TABLE
        if not path.exists():
            raise NotFound(f"Map {map_id} has no points yet.", hint="Wait until its job is done.")
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise WorkspaceDamaged(f"The points of map {map_id} cannot be read.", hint="Make the map again.") from error
        return table.assign(verdict=self.verdicts(table))

    def verdicts(self, table: pd.DataFrame) -> list[str]:
        """The verdict of each point's triple now; "" for documents of a corpus."""
        owners = table["owner"].unique().tolist()
        now = {record.id: record.standing.verdict.value for record in self._triples.get_many(owners)}
        return [now.get(owner, "") for owner in table["owner"]]

    def run_map(self, context: JobContext) -> dict[str, Any]:
        """The job's work: encode with each model, lay out, compare neighbours, name the clusters."""
        plan = MapPlan.model_validate(context.plan)
        points, _ = self._gathered(plan)
        texts, rows = distinct_texts(points)
        vectors: list[Vectors] = []
        for name in plan.models:
            vectors.append(self._encoded(context, plan, name, len(vectors) * len(texts), texts))
            if context.stop_requested():
                return {"encoded": list(plan.models[: len(vectors)])}
        layouts: list[Layout] = []
        for number, vector in enumerate(vectors):
            context.emit("layout", number=number + 1, of=len(vectors))
            context.progress(len(vectors) * len(texts), len(vectors) * len(texts), "texts", f"laying out {number + 1} of {len(vectors)}")
            layouts.append(project_beside(vector, layouts[0], plan) if layouts else project(vector, plan))
        table = map_table(points, rows, layouts, vectors)
        _write_table(table, context.folder / TABLE)
        clusters = sum(1 for label in table["cluster"].unique() if label >= 0)
        change = None if table["change"].isna().all() else float(table["change"].mean())
        return {
            "points": len(points),
            "distinct_texts": len(texts),
            "clusters": clusters,
            "models": list(plan.models),
            "mean_change": change,
            "table": TABLE,
        }

    def _encoded(self, context: JobContext, plan: MapPlan, name: str, before: int, texts: Sequence[Any]) -> Vectors:
        """Vectors of one model; kept in the job's folder, so a resumed job does not encode again."""
        spec = self._systems.spec(name)
        path = context.folder / "vectors" / f"{spec.fingerprint}-{plan_hash({'texts': list(texts)})}.npy"
        done, total = before, len(plan.models) * len(texts)

        def tell(count: int) -> None:
            nonlocal done
            done += count
            context.progress(done, total, "texts", self._systems.label(name))

        tell(0)
        if path.exists():
            tell(len(texts))
            return np.load(path, allow_pickle=False)
        vectors = encode_all(self._open_encoder(spec), texts, tell)
        with translated_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.tmp.npy")
            np.save(temporary, vectors, allow_pickle=False)
            temporary.replace(path)
        return vectors

    def _fixed(self, plan: MapPlan) -> tuple[MapPlan, str, int]:
        """The plan with the hash of what it depends on, the name of its source, and how many points it has."""
        fingerprints = [self._systems.spec(name).fingerprint for name in plan.models]
        if plan.dataset_version_id:
            plan = plan.model_copy(update={"dataset_version_id": self._versions.get(plan.dataset_version_id).id})
        points, source = self._gathered(plan)
        if len(points) < FEWEST:
            raise NothingToDo(f"There are {len(points)} texts in {source}: too few for a map.", hint="Generate or import triples first.")
        facts = {"texts": content_hash(points), "encoders": fingerprints}
        return plan.model_copy(update={"source_hash": plan_hash(facts)}), source, len(points)

    def _gathered(self, plan: MapPlan) -> tuple[list[Point], str]:
        if plan.dataset_version_id:
            version = self._versions.get(plan.dataset_version_id)
            return points_of_examples(self._versions.examples(version.id)), version.name
        if plan.corpus_id:
            return points_of_documents(self._corpora.documents(plan.corpus_id)), self._corpora.get(plan.corpus_id).name
        return points_of_records(self._triples.each()), "all triples"


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Replace `path` in one step.

    Raises:
        DiskFull, StorageError: nothing was replaced.
    """
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with translated_errors():
        try:
            table.to_parquet(temporary, index=False)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
