"""`train`, `export-model`, `prepare`, `doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people, read_plan_file
from core.domain.plans import TrainingPlan
from core.settings import Settings
from core.training.desk import read_plan
from core.training.export import ExportForm
from core.training.presets import DEFAULT
from core.training.torchrun import helped, let_helpers_go, started_processes
from core.workbench import Workbench


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(train)
    app.command("export-model")(export_model)
    app.command()(prepare)
    app.command()(doctor)


def train(
    version: Annotated[str, typer.Option(help="Dataset version: its id or its name.")],
    plan: Annotated[Path | None, typer.Option(help="JSON file with a training plan, or part of one.")] = None,
    preset: Annotated[str, typer.Option(help="Where the plan starts from.")] = DEFAULT,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps.")] = None,
    base: Annotated[str | None, typer.Option(help="Base model: embedded:smollm2-135m, a hub id or a folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the order of triples and of the adapter's start.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that share each batch; under torchrun as many as it starts.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the job and return at once.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train an adapter on a dataset version and follow the run; Ctrl-C leaves it running."""
    with failures_told():
        workbench = open_workbench(workspace)
        if helped(workbench.settings):
            return
        changes = {"steps": steps, "base_model": base, "seed": seed, "processes": processes or started_processes()}
        wanted = _plan(workbench, version, preset, plan, {k: v for k, v in changes.items() if v is not None})
        job = workbench.training.start(wanted)
        if not detach:
            job = follow(workbench, job)
            let_helpers_go(job, workbench.jobs.events(job.id)[0])
        finish({"job": job.id, "model": f"run:{job.id}", "state": job.state.value, **job.result}, as_json=as_json)


def _plan(workbench: Workbench, version: str, preset: str, file: Path | None, changes: dict[str, Any]) -> TrainingPlan:
    """The preset, changed by the file, changed by the options."""
    values = workbench.training.preset(preset, version).model_dump(mode="json")
    if file is not None:
        values |= read_plan_file(file)
    values |= {**changes, "dataset_version_id": version}
    if "steps" in changes:  # a short try must not be all warm-up
        values["warmup_steps"] = min(values["warmup_steps"], changes["steps"] // 4)
    return read_plan(values)


def export_model(
    run: Annotated[str, typer.Argument(help="Training run: its job id.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to write; new or empty.")],
    form: Annotated[ExportForm, typer.Option(help="model: merged, for transformers and sentence-transformers. adapter: for peft.")] = (
        ExportForm.MODEL
    ),
    average: Annotated[list[int] | None, typer.Option(help="Step of a checkpoint to average with others; repeat.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a tuned model as a folder that other programs load, with a model card."""
    with failures_told():
        finish(open_workbench(workspace).export_model(run, to, form=form, steps=average or ()), as_json=as_json)


def prepare(as_json: JsonOption = False) -> None:
    """Verify the shipped models and convert the decoder once (what `make` runs at set-up)."""
    with failures_told():
        from core.encoder.embedded import prepare as prepare_models

        finish(prepare_models(Settings()), as_json=as_json)


def doctor(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Look at Python, packages, models, CPU, memory, disk and browser, and say what is missing and what to do."""
    with failures_told():
        from core.training.doctor import examine

        settings = Settings(workspace=workspace.resolve()) if workspace else Settings()
        checks = examine(settings)
        table = Table("check", "found", "state", "what to do")
        for check in checks:
            table.add_row(check.name, check.found, "ok" if check.ok else ("PROBLEM" if check.needed else "missing"), check.hint)
        people.print(table)
        healthy = all(check.ok for check in checks if check.needed)
        finish({"healthy": healthy, "checks": [asdict(check) for check in checks]} if as_json else {"healthy": healthy}, as_json=as_json)
        if not healthy:
            raise typer.Exit(1)
