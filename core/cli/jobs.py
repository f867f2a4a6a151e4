"""`jobs`: list, show, pause, stop, resume, run."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.jobs import JobState
from core.training.torchrun import helped

jobs = typer.Typer(help="Long work: list, show, pause, stop, resume.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `jobs` to the commands."""
    app.add_typer(jobs, name="jobs")


@jobs.command("list")
def list_jobs(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """All jobs, newest first."""
    with failures_told():
        found = open_workbench(workspace).jobs.find()
        table = Table("id", "kind", "state", "title", "created")
        for job in found:
            table.add_row(job.id, job.kind.value, job.state.value, Text(job.title), job.created_at)
        people.print(table)
        finish({"jobs": [asdict(job) for job in found]} if as_json else {"jobs": len(found)}, as_json=as_json)


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
        job = follow(workbench, workbench.jobs.resume(job_id))
        finish({"job": job.id, "state": job.state.value, **job.result}, as_json=as_json)


@jobs.command(hidden=True)
def run(job_id: str, workspace: WorkspaceOption = None) -> None:
    """Do a job's work in this process (what a job's own process is started with)."""
    with failures_told():
        if open_workbench(workspace).run_job(job_id) is JobState.FAILED:
            raise typer.Exit(1)
