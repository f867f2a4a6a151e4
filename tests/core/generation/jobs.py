"""Run generation in this process: a desk over a scripted model, and a context like a job's."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from core.domain.chat import ChatModel
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import GenerationPlan, Plan
from core.errors import BroughtNothing
from core.generation.desk import GenerationDesk
from core.jobs.context import STOP_FILE, JobContext
from core.jobs.events import read_events
from core.storage.jobs import JobStore
from core.storage.ledger import Ledger
from core.storage.tasks import TaskStore
from core.storage.triples import TripleStore
from core.workbench import Workbench


class Bench:
    """A desk whose models come from a test, with its stores at hand."""

    def __init__(self, workbench: Workbench, folder: Path) -> None:
        self.workbench = workbench
        self.folder = folder
        self.model: ChatModel | None = None
        self.ledger = Ledger(workbench.database)
        self.triples = TripleStore(workbench.database)
        self.tasks = TaskStore(workbench.database)
        self.desk = GenerationDesk(
            workbench.jobs, self.ledger, self.tasks, self.triples, workbench.prompts, open_model=lambda plan: self.model
        )

    def context(self, plan: Plan, job_id: str | None = None) -> JobContext:
        identifier = job_id or uuid.uuid4().hex[:8]
        folder = self.folder / identifier
        folder.mkdir(exist_ok=True)
        (folder / STOP_FILE).unlink(missing_ok=True)
        job = Job(identifier, JobKind.GENERATE, "test", JobState.RUNNING, plan.model_dump(mode="json"), "hash", folder)
        return JobContext(job, JobStore(self.workbench.database, self.folder))

    def generate(self, model: ChatModel, plan: GenerationPlan, *, job_id: str | None = None) -> dict[str, Any]:
        self.model = model
        return self.carry_out(plan, job_id)

    def carry_out(self, plan: GenerationPlan, job_id: str | None = None) -> dict[str, Any]:
        """What a job brought. One that brought nothing fails, and then these are the counts that are kept with its failure."""
        context = self.context(plan, job_id)
        try:
            return self.desk.run_generation(context)
        except BroughtNothing:
            return context.result

    def events(self, job_id: str, kind: str) -> list[dict[str, Any]]:
        return [e for e in read_events(self.folder / job_id / "events.jsonl")[0] if e["kind"] == kind]


def make_plan(count: int = 4, group: TaskGroup = TaskGroup.STS, **fields) -> GenerationPlan:
    values = {"base_url": "http://scripted/v1", "model": "scripted", "counts": {group: count}, "in_flight": 3}
    return GenerationPlan.model_validate(values | fields)
