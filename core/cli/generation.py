"""`brainstorm`, `generate` and `tasks`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from core.cli.batches import batches
from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.groups import TaskGroup
from core.domain.languages import PAPER_LANGUAGES, find_language, paper_weights
from core.domain.plans import BrainstormPlan, GenerationPlan
from core.domain.task import TaskState
from core.errors import BadInput, BadPlan
from core.workbench import Workbench

tasks = typer.Typer(help="Tasks: list, add, accept, reject.", no_args_is_help=True)

GroupsOption = Annotated[list[TaskGroup] | None, typer.Option("--group", help="Group; may be repeated.", show_default="short-long")]
BaseUrlOption = Annotated[str | None, typer.Option("--base-url", help="`embedded` or the URL of an OpenAI-compatible API (…/v1).")]
ModelOption = Annotated[str | None, typer.Option("--model", help="Model name at that endpoint.")]
KeyOption = Annotated[str | None, typer.Option("--api-key-env", help="Name of the environment variable that holds the key.")]
InFlightOption = Annotated[int | None, typer.Option("--in-flight", help="Requests at a time.")]
TemperatureOption = Annotated[float | None, typer.Option("--temperature")]
TopPOption = Annotated[float | None, typer.Option("--top-p")]
MaxTokensOption = Annotated[int | None, typer.Option("--max-tokens", help="Tokens a reply may have.")]
RequestsOption = Annotated[int | None, typer.Option("--budget-requests", help="Send at most so many requests.")]
MoneyOption = Annotated[float | None, typer.Option("--budget-money", help="Spend at most so many US dollars.")]
TokenBudgetOption = Annotated[int | None, typer.Option("--budget-tokens", help="Use at most so many tokens, prompts and replies together.")]
RequestRateOption = Annotated[float | None, typer.Option("--requests-per-minute", help="Never send faster than this.")]
TokenRateOption = Annotated[float | None, typer.Option("--tokens-per-minute", help="Prompts and replies together, never faster than this.")]
PromptPriceOption = Annotated[float | None, typer.Option("--price-prompt", help="Own price: US dollars a million prompt tokens.")]
ReplyPriceOption = Annotated[float | None, typer.Option("--price-completion", help="Own price: US dollars a million reply tokens.")]
BatchOption = Annotated[bool, typer.Option("--batch", help="Send as batches: half the price, up to 24 hours. A --plan may hold it too.")]
SeedOption = Annotated[int, typer.Option("--seed", help="The same plan with the same seed sends only what is missing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(brainstorm)
    app.command()(generate)
    app.add_typer(tasks, name="tasks")
    app.add_typer(batches, name="batches")


def brainstorm(
    group: GroupsOption = None,
    count: Annotated[int, typer.Option(help="Tasks wanted for each group.")] = 20,
    topics: Annotated[str, typer.Option(help="Subjects to start from, separated by commas.")] = "",
    plan: Annotated[Path | None, typer.Option(help="A plan file (JSON) instead of options.")] = None,
    base_url: BaseUrlOption = None,
    model: ModelOption = None,
    api_key_env: KeyOption = None,
    in_flight: InFlightOption = None,
    temperature: TemperatureOption = None,
    top_p: TopPOption = None,
    max_tokens: MaxTokensOption = None,
    budget_requests: RequestsOption = None,
    budget_money: MoneyOption = None,
    budget_tokens: TokenBudgetOption = None,
    requests_per_minute: RequestRateOption = None,
    tokens_per_minute: TokenRateOption = None,
    price_prompt: PromptPriceOption = None,
    price_completion: ReplyPriceOption = None,
    batch: BatchOption = False,
    seed: SeedOption = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a language model for new tasks; they arrive as proposals."""
    with failures_told():
        workbench = open_workbench(workspace)
        values: dict[str, Any] = {
            "counts": {g.value: count for g in group or [TaskGroup.SHORT_LONG]},
            "topics": [t.strip() for t in topics.split(",") if t.strip()],
            "budget": {"requests": budget_requests, "money": budget_money, "tokens": budget_tokens},
            "batch": batch,
            "seed": seed,
            **_endpoint(
                workbench,
                base_url,
                model,
                api_key_env=api_key_env,
                in_flight=in_flight,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                price=_price(price_prompt, price_completion),
            ),
        }
        job = follow(workbench, workbench.generation.start_brainstorm(_brainstorm_plan(values, plan)))
        finish({"job": job.id, "state": job.state.value, **job.result}, as_json=as_json)


def generate(
    plan: Annotated[Path | None, typer.Option(help="A plan file (JSON) instead of options.")] = None,
    group: GroupsOption = None,
    count: Annotated[int, typer.Option(help="Examples wanted for each group.")] = 10,
    language: Annotated[
        list[str] | None, typer.Option(help="Language, with a weight if you like (French=0.3); repeatable. `paper`: its 100 languages.")
    ] = None,
    base_url: BaseUrlOption = None,
    model: ModelOption = None,
    api_key_env: KeyOption = None,
    in_flight: InFlightOption = None,
    temperature: TemperatureOption = None,
    top_p: TopPOption = None,
    max_tokens: MaxTokensOption = None,
    budget_requests: RequestsOption = None,
    budget_money: MoneyOption = None,
    budget_tokens: TokenBudgetOption = None,
    requests_per_minute: RequestRateOption = None,
    tokens_per_minute: TokenRateOption = None,
    price_prompt: PromptPriceOption = None,
    price_completion: ReplyPriceOption = None,
    batch: BatchOption = False,
    seed: SeedOption = 0,
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
            "budget": {"requests": budget_requests, "money": budget_money, "tokens": budget_tokens},
            "batch": batch,
            "seed": seed,
            **_endpoint(
                workbench,
                base_url,
                model,
                api_key_env=api_key_env,
                in_flight=in_flight,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                price=_price(price_prompt, price_completion),
            ),
        }
        wanted = _generation_plan(values, plan)
        if dry_run:
            finish(asdict(workbench.generation.estimate(wanted)), as_json=as_json)
            return
        job = follow(workbench, workbench.generation.start_generation(wanted))
        finish({"job": job.id, "state": job.state.value, **job.result}, as_json=as_json)


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


def _endpoint(workbench: Workbench, base_url: str | None, model: str | None, **options: Any) -> dict[str, Any]:
    """What the options leave open comes from the workspace's default endpoint, or from its saved one with that address."""
    known = [e for e in workbench.endpoints.list() if base_url in (None, e.base_url)]
    default = workbench.endpoints.default()
    chosen = default if default in known else (known[0] if known else None)
    if chosen is None and model is None:
        raise BadPlan(f"No model is given for {base_url}.", hint="Add --model NAME.")
    values = {"base_url": base_url, "model": model, **options}
    saved = chosen.model_dump(include={*values, "timeout_seconds"}) if chosen else {}
    return saved | {name: value for name, value in values.items() if value is not None}


def _price(prompt: float | None, completion: float | None) -> dict[str, float] | None:
    if prompt is None and completion is None:
        return None
    if prompt is None or completion is None:
        raise BadInput("A price needs both --price-prompt and --price-completion.", hint="A local model costs 0 and 0.")
    return {"prompt": prompt, "completion": completion}


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


def _generation_plan(values: dict[str, Any], file: Path | None) -> GenerationPlan:
    try:
        return GenerationPlan.model_validate(_plan_file(file, batch=values["batch"]) if file else values)
    except ValidationError as error:
        raise _bad_plan(error) from error


def _brainstorm_plan(values: dict[str, Any], file: Path | None) -> BrainstormPlan:
    try:
        return BrainstormPlan.model_validate(_plan_file(file, batch=values["batch"]) if file else values)
    except ValidationError as error:
        raise _bad_plan(error) from error


def _bad_plan(error: ValidationError) -> BadPlan:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "plan"
    return BadPlan(f"The plan is not usable at {place}: {first['msg']}.", hint="docs and the Generate page show every field of a plan.")


def _plan_file(path: Path, *, batch: bool) -> Any:
    """The other options are the file's business; `--batch` beside it is not dropped, for it halves the price."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return values | {"batch": True} if batch and isinstance(values, dict) else values
    except (OSError, ValueError) as error:
        raise BadPlan(f"The plan {path} cannot be read: {error}.", hint="It must be a JSON file.") from error


def _lines(path: Path) -> list[str]:
    try:
        text = typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The file {path} cannot be read: {error}.", hint="It must be UTF-8 text with one task a line.") from error
    return text.splitlines()
