"""`jobs`: list, show, line, move, pause, stop, resume, run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, finish_job, open_workbench, people, watch
from core.domain.jobs import JobState
from core.jobs.board import JobBoard
from core.training.torchrun import helped, let_helpers_go

jobs = typer.Typer(help="Long work: list, show, order, pause, stop, resume.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `jobs` to the commands."""
    app.add_typer(jobs, name="jobs")


@jobs.command("list")
def list_jobs(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """All jobs, newest first."""
    with failures_told():
        board = open_workbench(workspace).jobs
        found, places = board.find(), board.line.places()
        table = Table(Column("id", no_wrap=True), "kind", "state", "title", "created")
        for job in found:
            state = places[job.id].short if job.id in places else job.state.value
            table.add_row(job.id, job.kind.value, Text(state), Text(job.title), job.created_at)
        people.print(table)
        finish({"jobs": [asdict(job) for job in found]} if as_json else {"jobs": len(found)}, as_json=as_json)


@jobs.command("line")
def show_line(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Training jobs that wait until the machine is free, the next one first; each starts by itself."""
    with failures_told():
        _tell_line(open_workbench(workspace).jobs, as_json=as_json)


@jobs.command()
def move(
    job_id: str,
    to: Annotated[int, typer.Option(min=1, help="Place in line, 1 = next.")] = 1,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a waiting job another place in line; `stop` takes it out."""
    with failures_told():
        board = open_workbench(workspace).jobs
        board.line.move(job_id, to)
        _tell_line(board, as_json=as_json)


def _tell_line(board: JobBoard, *, as_json: bool) -> None:
    places = board.line.places()
    table = Table("place", Column("id", no_wrap=True), "title", "waits for")
    told = []
    for job in (board.get(job_id) for job_id in places):
        place = places[job.id]
        behind = place.ahead.id if place.ahead else ""
        table.add_row(str(place.number), job.id, Text(job.title), behind or "nobody: it starts now")
        told.append({"place": place.number, "job": job.id, "title": job.title, "behind": behind})
    if told:
        people.print(table)
    else:
        people.print("Nobody waits: a training that is started begins at once.")
    finish({"line": told} if as_json else {"in line": len(told)}, as_json=as_json)


@jobs.command()
def show(job_id: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """One job with its result and the end of its log."""
    with failures_told():
        board = open_workbench(workspace).jobs
        job = board.get(job_id)
        people.print(board.log_tail(job_id, characters=4000), markup=False, highlight=False)
        finish(asdict(job), as_json=as_json)


@jobs.command()
def pause(job_id: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Finish what is under way, keep it, and wait for `resume`; the job is listed as paused."""
    with failures_told():
        workbench = open_workbench(workspace)
        workbench.jobs.pause(job_id, by=workbench.settings.reviewer)
        finish({"job": job_id, "state": workbench.jobs.wait(job_id).state.value}, as_json=as_json)


@jobs.command()
def stop(job_id: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Finish the step, save, end."""
    with failures_told():
        workbench = open_workbench(workspace)
        board = workbench.jobs
        board.stop(job_id, by=workbench.settings.reviewer)
        finish({"job": job_id, "state": board.wait(job_id, timeout_seconds=310).state.value}, as_json=as_json)


@jobs.command()
def resume(job_id: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Go on where a paused, stopped, failed or lost job left off, and follow it."""
    with failures_told():
        workbench = open_workbench(workspace)
        if helped(workbench.settings):
            return
        job = watch(workbench, workbench.jobs.resume(job_id))
        let_helpers_go(job, workbench.jobs.events(job.id)[0])
        finish_job(job, as_json=as_json)


@jobs.command(hidden=True)
def run(job_id: str, workspace: WorkspaceOption = None) -> None:
    """Do a job's work in this process (what a job's own process is started with)."""
    with failures_told():
        if open_workbench(workspace).run_job(job_id) is JobState.FAILED:
            raise typer.Exit(1)
