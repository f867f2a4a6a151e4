"""How commands speak: tables and progress for people on stderr and stdout, one JSON object on the last line for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core.domain.jobs import Job, JobState
from core.errors import BadPlan, JobError, WorkbenchError
from core.settings import Settings
from core.workbench import Workbench

people = Console(stderr=True)
WorkspaceOption = Annotated[Path | None, typer.Option("--workspace", help="Workspace folder (or TERCET_WORKSPACE).", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")]


def open_workbench(workspace: Path | None) -> Workbench:
    """The workbench of `--workspace`, else of TERCET_WORKSPACE, else the default one."""
    return Workbench(Settings(workspace=workspace.resolve()) if workspace else Settings())


def finish(result: dict[str, Any], *, as_json: bool) -> None:
    """Last words of a command."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
        return
    for name, value in result.items():
        people.print(f"[bold]{name}[/bold]: ", end="")
        people.print(str(value), markup=False, highlight=False)


@contextmanager
def failures_told() -> Iterator[None]:
    """Message and hint on stderr and a non-zero exit status instead of a traceback."""
    try:
        yield
    except WorkbenchError as error:
        people.print(f"Error: {error.message}", markup=False, style="red", highlight=False)
        if error.hint:
            people.print(f"Hint: {error.hint}", markup=False, highlight=False)
        raise typer.Exit(1) from error


def finish_job(job: Job, *, as_json: bool) -> None:
    """Last words of a command about a job that is over: what it brought, and how it failed if it did.

    Raises:
        JobError: it failed or was lost; the message and the hint are the job's own.
    """
    values = {"job": job.id, "state": job.state.value, **job.result}
    error = _error_of(job)
    if error is None:
        finish(values, as_json=as_json)
        return
    if as_json:
        finish(values | {"failure": asdict(job.failure) if job.failure else None}, as_json=True)
    raise error


def follow(workbench: Workbench, job: Job) -> Job:
    """Draw a job's progress until it is over. Ctrl-C leaves the job running.

    Raises:
        JobError: it failed or was lost; the message and the hint are the job's own.
    """
    job = watch(workbench, job)
    if (error := _error_of(job)) is not None:
        raise error
    return job


def watch(workbench: Workbench, job: Job) -> Job:
    """Draw a job's progress until it is over, well or badly. Ctrl-C leaves the job running."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        console=people,
    ) as bar:
        line = bar.add_task(job.title, total=None, note="")
        offset = 0
        while True:
            over = not (job := workbench.jobs.get(job.id)).state.active
            events, offset = workbench.jobs.events(job.id, offset=offset)
            for event in events:
                if event["kind"] == "progress":
                    note = f"{event['done']}/{event['total']} {event['unit']} {event['note']}"
                    bar.update(line, completed=event["done"], total=event["total"], note=note)
                elif event["kind"] in ("queued", "started"):
                    bar.update(line, note=event.get("note", ""))
            if over:
                return job
            time.sleep(0.2)


def read_plan_file(path: Path) -> dict[str, Any]:
    """The fields of a plan, or of part of one, as a JSON file holds them.

    Raises:
        BadPlan: it cannot be read, or holds no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadPlan(f"The plan {path} cannot be read: {error}.", hint="It must be a JSON file with fields of the plan.") from error
    if not isinstance(values, dict):
        raise BadPlan(f"The plan {path} holds no JSON object.", hint="It must be a JSON file with fields of the plan.")
    return values


def _error_of(job: Job) -> JobError | None:
    if job.state not in (JobState.FAILED, JobState.LOST) or job.failure is None:
        return None
    return JobError(job.failure.message, hint=job.failure.hint)
