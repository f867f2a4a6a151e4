"""`demo`: the whole loop on the embedded default, without a browser, and what it changed as one JSON object."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, people, watch
from core.domain.groups import TaskGroup
from core.domain.plans import BrainstormPlan, EvaluationPlan, GenerationPlan
from core.domain.task import TaskState
from core.domain.triple import Verdict
from core.errors import JobError
from core.settings import Settings
from core.workbench import Workbench

QUERY = "how do I leave a loop early"
PASSAGES = 200  # of the Python documentation; all 1,631 take some minutes


@dataclass
class Walk:
    """The loop step by step, with what each brought."""

    workbench: Workbench
    facts: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line for people."""
        people.print(f"[bold cyan]{time.monotonic() - self.started:5.0f} s[/]  {text}", highlight=False)

    def teach(self) -> None:
        """Tasks and triples by the embedded teacher: weak texts, so they wait for review and are not trained on."""
        self.say("The embedded teacher brainstorms tasks and writes triples (it is tiny: set a real endpoint for real work)")
        brainstorm = BrainstormPlan(counts={TaskGroup.SHORT_LONG: 3})
        follow(self.workbench, self.workbench.generation.start_brainstorm(brainstorm))
        self.workbench.tasks.accept([task.id for task in self.workbench.tasks.list(state=TaskState.PROPOSED)])
        generation = GenerationPlan(counts={TaskGroup.SHORT_LONG: 2}, max_tokens=512)
        job = watch(self.workbench, self.workbench.generation.start_generation(generation))
        if job.failure:  # as tiny as it is, it may bring nothing; the rest of the loop does not need it
            self.say(f"It wrote nothing of use: {job.failure.message}")
        self.facts["generated_by_embedded_teacher"] = job.result.get("parsed")

    def freeze(self) -> str:
        """The starter set, accepted, with whole tasks held out."""
        report = self.workbench.dataset.load_starter(accept=True)
        version = self.workbench.dataset.freeze("demo", heldout_share=0.15, seed=0)
        self.say(
            f"Starter set: {len(report.added)} triples; frozen: {version.train_count} to train on, {version.heldout_count} held out by task"
        )
        self.facts |= {"version": version.id, "train_triples": version.train_count, "heldout_triples": version.heldout_count}
        return version.id

    def train(self, version_id: str) -> str:
        """A LoRA adapter on the embedded decoder."""
        plan = self.workbench.training.preset("three minutes on two cores", version_id)
        self.say(f"Training {plan.steps} steps of {plan.batch_size} triples")
        job = follow(self.workbench, self.workbench.training.start(plan))
        self.facts["training"] = {k: job.result[k] for k in ("steps", "loss_first", "loss_last", "seconds")}
        return f"run:{job.id}"

    def search(self, tuned: str) -> None:
        """The first pages of the Python documentation, raw and tuned side by side."""
        corpora = self.workbench.corpora
        pages = corpora.documents(corpora.ensure_demo_corpus().id)[:PASSAGES]
        rows = "".join(json.dumps({"id": page.id, "title": page.title, "text": page.text}) + "\n" for page in pages)
        corpus = corpora.import_corpus(
            "Python, first pages", rows.encode(), "jsonl", origin="the interpreter's documentation", replace=True
        ).corpus
        for model in ("raw", tuned):
            follow(self.workbench, self.workbench.search.start_index(corpus.id, model))
        self.workbench.service.ensure_started(wait_seconds=120)
        try:
            found = self.workbench.search.search(corpus.id, ["raw", tuned], QUERY, k=3)
        finally:
            self.workbench.service.stop()
        for name, ranking in found.items():
            best = ranking.hits[0].document
            self.say(f"“{QUERY}”, best by {name.split(':')[0]}: {best.title or best.text[:70]}")
        self.facts["best_hit"] = {name.split(":")[0]: ranking.hits[0].document.title for name, ranking in found.items()}

    def evaluate(self, version_id: str, tuned: str) -> None:
        """Four systems on tasks training never saw."""
        plan = EvaluationPlan(dataset_version_id=version_id, systems=("raw", tuned, "baseline", "bm25"))
        result = follow(self.workbench, self.workbench.evaluation.start(plan)).result
        names = {"raw": "raw", tuned: "tuned", "baseline": "baseline", "bm25": "bm25"}
        for system, name in names.items():
            score = result["systems"][system]["ndcg_at_10"]
            self.facts[name] = {"ndcg_at_10": score["mean"], "interval_95": [score["low"], score["high"]], "queries": score["queries"]}
            self.say(f"{name:9} nDCG@10 {score['mean']:.3f}  [{score['low']:.3f}, {score['high']:.3f}]  n = {score['queries']}")
        against_raw = next(
            c for c in result["comparisons"] if c["system"] == tuned and c["against"] == "raw" and c["metric"] == "ndcg_at_10"
        )
        self.facts["p_value"] = against_raw["p_value"]
        if not (against_raw["difference"] > 0 and against_raw["p_value"] < 0.01):
            raise JobError(
                "The tuned model did not beat the raw one.", hint="Read the training job's log; this is a defect worth reporting."
            )


def register(app: typer.Typer) -> None:
    """Add `demo` to the commands."""
    app.command()(demo)


def demo(
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
    skip_teacher: Annotated[bool, typer.Option(help="Leave out the embedded teacher's part.")] = False,
) -> None:
    """Walk the whole loop on the embedded models: tasks, triples, freeze, train, index, search, evaluate."""
    with failures_told():
        folder = workspace or Path("workspace") / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        walk = Walk(Workbench(Settings(workspace=folder.resolve())))
        if not skip_teacher:
            walk.teach()
        version_id = walk.freeze()
        tuned = walk.train(version_id)
        walk.search(tuned)
        walk.evaluate(version_id, tuned)
        walk.say(f"Look at it in the app: TERCET_WORKSPACE={folder} make app")
        waiting = walk.workbench.overview().triples or {}
        walk.facts |= {"waiting_for_review": waiting.get(Verdict.PENDING.value, 0), "workspace": str(folder.resolve())}
        finish(walk.facts | {"seconds": round(time.monotonic() - walk.started, 1)}, as_json=as_json)
