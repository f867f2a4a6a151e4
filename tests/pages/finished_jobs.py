"""Evaluations and maps that really ran, in this process, on encoders whose vectors follow from the text."""

from __future__ import annotations

import hashlib

import numpy as np

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.encoder import EncoderSpec
from core.domain.identity import plan_hash
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import EvaluationPlan, MapPlan
from core.evaluation.desk import EvaluationDesk
from core.exploration.desk import ExplorationDesk
from core.jobs.child import run_child
from core.storage.database import now
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore
from core.workbench import Workbench
from tests.factories import make_triples


class HashedEncoder:
    """Each text has a direction of its own; the same text always the same one."""

    dimensions = 16

    def __init__(self, spec: EncoderSpec) -> None:
        self.spec = spec

    def encode(self, texts, *, role, task=None, batch_size=32):
        rows = [
            np.random.default_rng(int(hashlib.sha256((self.spec.base + t).encode()).hexdigest()[:8], 16)).normal(size=16) for t in texts
        ]
        found = np.array(rows, dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def add_version(workbench: Workbench, *, triples: int = 12) -> DatasetVersion:
    """A version of made-up triples, the first half held out."""
    made = make_triples(triples)
    made[0] = made[0].with_texts(type(made[0].texts)("<b>bold</b> *question*", made[0].texts.positive, made[0].texts.negative))
    TripleStore(workbench.database).add(made)
    tasks = sorted({t.task for t in made})
    held = set(tasks[: len(tasks) // 2])
    examples = [
        Example(t.id, t.group, t.task, t.texts, t.language, None, Split.HELDOUT if t.task in held else Split.TRAIN, t.topic) for t in made
    ]
    sides = [e.split for e in examples]
    version = DatasetVersion("v1", "first version", "c" * 64, sides.count(Split.TRAIN), sides.count(Split.HELDOUT), {}, None, now())
    VersionStore(workbench.database).add(version, examples, {})
    return version


def evaluated(workbench: Workbench) -> Job:
    """An evaluation of raw, baseline and bm25 that is done."""
    version = add_version(workbench)
    desk = EvaluationDesk(
        workbench.jobs, VersionStore(workbench.database), workbench.evaluation.collections, workbench.systems, HashedEncoder
    )
    plan = EvaluationPlan(dataset_version_id=version.id, bootstrap_samples=100)
    return _done(workbench, JobKind.EVALUATE, plan, desk.run)


def mapped(workbench: Workbench, *models: str, triples: int = 3) -> Job:
    """A map of all triples that is done; few enough points to need no UMAP."""
    TripleStore(workbench.database).add(make_triples(triples))
    stores = VersionStore(workbench.database), TripleStore(workbench.database)
    desk = ExplorationDesk(workbench.jobs, *stores, workbench.corpora, workbench.systems, HashedEncoder)
    return _done(workbench, JobKind.MAP, MapPlan(triples=True, models=models), desk.run_map)


def _done(workbench: Workbench, kind: JobKind, plan, work) -> Job:
    values = plan.model_dump(mode="json")
    store = workbench._job_store
    identifier = f"{kind.value}-test"
    folder = store.folder_of(identifier)
    folder.mkdir(parents=True)
    store.add(Job(identifier, kind, f"A finished {kind.value}", JobState.QUEUED, values, plan_hash(values), folder, created_at=now()))
    assert run_child(identifier, store, {kind: work}) is JobState.DONE
    return workbench.jobs.get(identifier)
