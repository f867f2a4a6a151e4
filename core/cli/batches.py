"""`batches`: requests that are with an endpoint for up to a day."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, open_workbench, people

batches = typer.Typer(help="Batches of requests at endpoints: list, cancel.", no_args_is_help=True)


@batches.command("list")
def list_batches(
    job: Annotated[str | None, typer.Option(help="Only those of this job.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Batches and how far they were when last looked at; a running job looks, `jobs resume` looks again and collects."""
    with failures_told():
        found = open_workbench(workspace).generation.batches(job)
        table = Table("job", "state", "at the endpoint", "answered", "requests", "id there", "note")
        for batch in found:
            answered = f"{batch.completed + batch.failed:,}"
            row = (batch.job_id, batch.state.value, batch.status, answered, f"{batch.requests:,}", batch.provider_id or "", batch.note)
            table.add_row(*row)
        people.print(table, markup=False)
        finish({"batches": [asdict(batch) for batch in found]} if as_json else {"batches": len(found)}, as_json=as_json)


@batches.command("cancel")
def cancel_batches(job: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Ask the endpoint to stop working on a job's batches. What was answered is paid, and collected: by the job, or when it is resumed."""
    with failures_told():
        finish({"cancelled": open_workbench(workspace).generation.cancel_batches(job)}, as_json=as_json)
