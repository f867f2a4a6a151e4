"""`brainstorm`, `generate` and `tasks`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from rich.table import Table

from core.cli.batches import batches
from core.cli.endpoint_options import EndpointOptions, takes_endpoint_options
from core.cli.output import (
    JsonOption,
    WorkspaceOption,
    failures_told,
    finish,
    finish_job,
    open_workbench,
    people,
    read_plan_file,
    watch,
)
from core.domain.groups import TaskGroup
from core.domain.languages import PAPER_LANGUAGES, find_language, paper_weights
from core.domain.plans import BrainstormPlan, GenerationPlan
from core.domain.task import TaskState
from core.errors import BadInput, BadPlan

P = TypeVar("P", BrainstormPlan, GenerationPlan)
tasks = typer.Typer(help="Tasks: list, add, accept, reject.", no_args_is_help=True)

GroupsOption = Annotated[list[TaskGroup] | None, typer.Option("--group", help="Group; may be repeated.", show_default="short-long")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(takes_endpoint_options(brainstorm))
    app.command()(takes_endpoint_options(generate))
    app.add_typer(tasks, name="tasks")
    app.add_typer(batches, name="batches")


def brainstorm(
    group: GroupsOption = None,
    count: Annotated[int, typer.Option(help="Tasks wanted for each group.")] = 20,
    topics: Annotated[str, typer.Option(help="Subjects to start from, separated by commas.")] = "",
    plan: Annotated[Path | None, typer.Option(help="A plan file (JSON) instead of options.")] = None,
    *,
    endpoint: EndpointOptions,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a language model for new tasks; they arrive as proposals."""
    with failures_told():
        workbench = open_workbench(workspace)
        values: dict[str, Any] = {
            "counts": {g.value: count for g in group or [TaskGroup.SHORT_LONG]},
            "topics": [t.strip() for t in topics.split(",") if t.strip()],
            **endpoint.plan_values(workbench),
        }
        finish_job(watch(workbench, workbench.generation.start_brainstorm(_plan(BrainstormPlan, values, plan))), as_json=as_json)


def generate(
    plan: Annotated[Path | None, typer.Option(help="A plan file (JSON) instead of options.")] = None,
    group: GroupsOption = None,
    count: Annotated[int, typer.Option(help="Examples wanted for each group.")] = 10,
    language: Annotated[
        list[str] | None, typer.Option(help="Language, with a weight if you like (French=0.3); repeatable. `paper`: its 100 languages.")
    ] = None,
    *,
    endpoint: EndpointOptions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate requests, tokens, cost and time.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write examples for accepted tasks."""
    with failures_told():
        workbench = open_workbench(workspace)
        values: dict[str, Any] = {
            "counts": {g.value: count for g in group or [TaskGroup.SHORT_LONG]},
            "languages": _languages(language or ["English"]),
            **endpoint.plan_values(workbench),
        }
        wanted = _plan(GenerationPlan, values, plan)
        if dry_run:
            finish(asdict(workbench.generation.estimate(wanted)), as_json=as_json)
            return
        finish_job(watch(workbench, workbench.generation.start_generation(wanted)), as_json=as_json)


@tasks.command("list")
def list_tasks(
    group: Annotated[TaskGroup | None, typer.Option()] = None,
    state: Annotated[TaskState | None, typer.Option()] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tasks in order of arrival."""
    with failures_told():
        found = open_workbench(workspace).tasks.list(group, state)
        table = Table("id", "group", "state", "topic", "task")
        for task in found:
            table.add_row(task.id, task.group.value, task.state.value, task.topic, task.text)
        people.print(table, markup=False)
        finish({"tasks": [{"id": t.id, **asdict(t)} for t in found]} if as_json else {"tasks": len(found)}, as_json=as_json)


@tasks.command("add")
def add_tasks(
    file: Annotated[Path, typer.Argument(help="Text file with one task a line; - reads standard input.")],
    group: Annotated[TaskGroup, typer.Option()],
    topic: Annotated[str, typer.Option()] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add tasks of a file; they are accepted at once."""
    with failures_told():
        report = open_workbench(workspace).tasks.add(group, _lines(file), topic=topic, source="import")
        finish({"added": list(report.added), "duplicates": list(report.duplicates)}, as_json=as_json)


@tasks.command("accept")
def accept_tasks(ids: list[str], workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Allow examples for these tasks; `all` accepts every proposal."""
    with failures_told():
        book = open_workbench(workspace).tasks
        chosen = [task.id for task in book.list(state=TaskState.PROPOSED)] if ids == ["all"] else ids
        finish({"changed": book.accept(chosen)}, as_json=as_json)


@tasks.command("reject")
def reject_tasks(ids: list[str], workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Write no more examples for these tasks."""
    with failures_told():
        finish({"changed": open_workbench(workspace).tasks.reject(ids)}, as_json=as_json)


def _languages(options: list[str]) -> dict[str, float]:
    if options == [PAPER_LANGUAGES]:
        return paper_weights()
    weights: dict[str, float] = {}
    for option in options:
        name, _, weight = option.partition("=")
        try:
            weights[find_language(name).name] = float(weight or 1.0)
        except ValueError as error:
            raise BadInput(f"“{option}” has no readable weight.", hint="Write --language French=0.3.") from error
    return weights


def _plan(kind: type[P], values: dict[str, Any], file: Path | None) -> P:
    """The options as a plan, or the file's. Beside a file only `--batch` counts, for it halves the price."""
    if file is not None:
        values = read_plan_file(file) | ({"batch": True} if values["batch"] else {})
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "plan"
        hint = "docs and the Generate page show every field of a plan."
        raise BadPlan(f"The plan is not usable at {place}: {first['msg']}.", hint=hint) from error


def _lines(path: Path) -> list[str]:
    try:
        text = typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The file {path} cannot be read: {error}.", hint="It must be UTF-8 text with one task a line.") from error
    return text.splitlines()
