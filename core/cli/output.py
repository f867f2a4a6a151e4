"""How commands speak: tables and progress for people on stderr and stdout, one JSON object on the last line for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core.domain.jobs import Job, JobState
from core.errors import JobError, WorkbenchError
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


def follow(workbench: Workbench, job: Job) -> Job:
    """Draw a job's progress until it is over. Ctrl-C leaves the job running.

    Raises:
        JobError: it failed or was lost; the message and the hint are the job's own.
    """
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
            for event in (e for e in events if e["kind"] == "progress"):
                note = f"{event['done']}/{event['total']} {event['unit']} {event['note']}"
                bar.update(line, completed=event["done"], total=event["total"], note=note)
            if over:
                break
            time.sleep(0.2)
    if job.state in (JobState.FAILED, JobState.LOST) and job.failure:
        error = JobError(job.failure.message, hint=job.failure.hint)
        raise error
    return job
