"""What training on the starter set gives on the held-out collection, and what each group of tasks is good for.

Claim (README, docs/lab-notes.md): the preset "three minutes on two cores" lifts nDCG@10 by at least 0.45 over the raw model.
`--leave-one-out` trains six more runs, each without one group and with the same number of steps, and shows what that costs every group of
the test. A run of an equal plan that is done in `--workspace` is used again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import EvaluationPlan, TrainingPlan
from core.settings import Settings
from core.training.presets import DEFAULT
from core.workbench import Workbench

REFERENCES = ("raw", "baseline", "bm25")


def main() -> None:
    """Train, evaluate, print tables and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--preset", default=DEFAULT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--workspace", type=Path, help="keep runs here; a temporary folder where absent")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workbench = Workbench(Settings(workspace=(asked.workspace or Path(temporary)).resolve()))
        plans = plans_of(workbench, asked.preset, asked.seed, leave_one_out=asked.leave_one_out)
        runs = {name: trained(workbench, plan) for name, plan in plans.items()}
        print(json.dumps(measured(workbench, runs, asked.preset)))


def plans_of(workbench: Workbench, preset: str, seed: int, *, leave_one_out: bool) -> dict[str, TrainingPlan]:
    """Name of a run -> its plan; all runs see the whole starter set but for one group."""
    versions = {v.name: v for v in workbench.dataset.versions()}
    if "starter" not in versions:
        workbench.dataset.load_starter(accept=True)
        versions["starter"] = workbench.dataset.freeze("starter", heldout_share=0, seed=0)
    plan = workbench.training.preset(preset, versions["starter"].id).model_copy(update={"seed": seed})
    left_out = list(TaskGroup) if leave_one_out else []
    others = {f"without {g.value}": plan.model_copy(update={"groups": tuple(o for o in TaskGroup if o is not g)}) for g in left_out}
    return {"all groups": plan, **others}


def trained(workbench: Workbench, plan: TrainingPlan) -> Job:
    """The run of a plan: one that is done, else a new one, waited for."""
    values = plan.model_dump(mode="json")
    done = [j for j in workbench.jobs.find(JobKind.TRAIN) if j.state is JobState.DONE and j.plan == values]
    return done[0] if done else finished(workbench, workbench.training.start(plan))


def finished(workbench: Workbench, job: Job) -> Job:
    """Wait for a job's process.

    Raises:
        RuntimeError: it did not end well.
    """
    job = workbench.jobs.wait(job.id)
    if job.state is not JobState.DONE:
        raise RuntimeError(f"{job.title}: {job.failure.message if job.failure else job.state}")
    return job


def measured(workbench: Workbench, runs: dict[str, Job], preset: str) -> dict[str, Any]:
    """Evaluate all runs together, print the tables, return the figures."""
    systems = {name: f"run:{job.id}" for name, job in runs.items()}
    plan = EvaluationPlan(collection="heldout", systems=(*REFERENCES, *systems.values()))
    report = workbench.evaluation.report(finished(workbench, workbench.evaluation.start(plan)).id)
    names = {**{name: name for name in REFERENCES}, **systems}
    for key in ("by_group", "by_language"):
        print(f"\n{'nDCG@10':24}" + "".join(f"{row['name'][:11]:>12}" for row in [{"name": "all"}, *report[key]]))
        print(f"{'queries':24}" + "".join(f"{n:>12}" for n in [report["queries"], *(row["queries"] for row in report[key])]))
        for name, system in names.items():
            cells = [report["systems"][system], *(row["systems"][system] for row in report[key])]
            print(f"{name:24}" + "".join(f"{cell['ndcg_at_10']['mean']:>12.3f}" for cell in cells))
    scores = {name: report["systems"][system]["ndcg_at_10"]["mean"] for name, system in names.items()}
    tuned = runs["all groups"]
    return {
        "preset": preset,
        "heldout_queries": report["queries"],
        "heldout_documents": report["documents"],
        **{f"{name.replace(' ', '_')}_ndcg_at_10": round(score, 4) for name, score in scores.items()},
        "tuned_minus_raw_ndcg_at_10": round(scores["all groups"] - scores["raw"], 4),
        "tuned_minus_bm25_ndcg_at_10": round(scores["all groups"] - scores["bm25"], 4),
        "training_seconds": tuned.result["training_seconds"],
        "steps": tuned.result["steps"],
        "tokens_per_second": round(tuned.result["tokens_per_second"], 1),
        "report": str(workbench.settings.workspace / "jobs" / report["job"]),
    }


if __name__ == "__main__":
    main()
