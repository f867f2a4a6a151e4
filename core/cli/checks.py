"""`checks`: check all triples again, see what was found, set the thresholds."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.checks import SCORES, Thresholds, beyond
from core.domain.filters import EVERYTHING
from core.errors import BadInput

checks = typer.Typer(help="Checks that need no person: run them, see what they found, set their thresholds.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(checks, name="checks")


@checks.command("run")
def run_checks(
    encoder: Annotated[bool, typer.Option(help="Score with the baseline encoder too.")] = True,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every triple with the workspace's thresholds and look for near duplicates; runs as a job."""
    with failures_told():
        workbench = open_workbench(workspace)
        job = follow(workbench, workbench.checks.start(encoder=encoder))
        finish({"job": job.id, "state": job.state.value, **job.result}, as_json=as_json)


@checks.command("show")
def show_checks(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Triples by flag, the thresholds, and how many scores of the last check lie beyond each."""
    with failures_told():
        workbench = open_workbench(workspace)
        thresholds, scores = workbench.checks.thresholds(), workbench.checks.scores()
        table = Table("score", "threshold", "value", "side", "beyond", "of")
        rows: list[dict[str, Any]] = []
        for name, (_, threshold, side) in SCORES.items():
            value = getattr(thresholds, threshold)
            count = beyond(scores[name], value, side)
            rows.append({"score": name, "threshold": threshold, "value": value, "side": side, "beyond": count, "of": len(scores[name])})
            table.add_row(name, threshold, f"{value:g}", side, str(count), str(len(scores[name])))
        people.print(table, markup=False)
        flags = workbench.dataset.counts_by("flag_code", EVERYTHING)
        finish({"flags": flags, "thresholds": thresholds.model_dump(), "scores": rows}, as_json=as_json)


@checks.command("set")
def set_thresholds(
    values: Annotated[list[str], typer.Argument(help="NAME=VALUE, for example near_duplicate=0.85; `defaults` forgets all own values.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set thresholds of this workspace; `checks run` applies them to triples that are there."""
    with failures_told():
        desk = open_workbench(workspace).checks
        named = {} if values == ["defaults"] else desk.thresholds().model_dump() | dict(_pair(value) for value in values)
        try:
            desk.set_thresholds(Thresholds.model_validate(named))
        except ValidationError as error:
            first = error.errors()[0]
            known = ", ".join(Thresholds.model_fields)
            raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.", hint=f"The thresholds are {known}.") from error
        finish(desk.thresholds().model_dump(), as_json=as_json)


@checks.command("duplicates")
def list_duplicates(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Near duplicates of the last check. Exact ones are never stored twice: `requests list --duplicates` shows their replies."""
    with failures_told():
        pairs = open_workbench(workspace).checks.near_duplicates()
        table = Table("earlier", "later", "similarity")
        for earlier, later, share in pairs:
            table.add_row(earlier, later, f"{share:.2f}")
        people.print(table, markup=False)
        rows = [{"earlier": a, "later": b, "similarity": share} for a, b, share in pairs]
        finish({"near_duplicates": rows} if as_json else {"near_duplicates": len(pairs)}, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not value:
        raise BadInput(f"“{text}” is not NAME=VALUE.", hint="Write for example near_duplicate=0.85.")
    return name.strip(), value.strip()
