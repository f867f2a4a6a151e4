"""`requests`: stored replies that brought nothing, and reading them again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, open_workbench, people
from core.domain.request import RequestRecord

requests = typer.Typer(help="Stored replies that brought nothing: list, show, read again.", no_args_is_help=True)
ReasonOption = Annotated[list[str] | None, typer.Option("--reason", help="Only those that failed so, for example not_json; repeatable.")]
SHOWN = 70  # characters of a reply in a table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(requests, name="requests")


@requests.command("list")
def list_requests(
    reason: ReasonOption = None,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Replies dropped because their example was there already.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 200,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers that brought nothing: unreadable replies and what is no reply of the protocol, or the exact duplicates."""
    with failures_told():
        shelf = open_workbench(workspace).replies
        found = shelf.duplicates(limit=limit) if duplicates else shelf.failed(reason or (), limit=limit)
        table = Table("key", "group", "language", "reason", "reply")
        for record in found:
            text = " ".join(_came(record).split())[:SHOWN]
            table.add_row(record.key, record.request.group.value, record.request.language or "", _reason(record), text)
        people.print(table, markup=False)
        rows = [{"key": r.key, "group": r.request.group.value, "reason": _reason(r), "reply": _came(r)} for r in found]
        finish({"requests": rows} if as_json else {"requests": len(found)}, as_json=as_json)


@requests.command("show")
def show_request(key: str, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """One request: prompt, reply as received or what came in place of one, what became of it."""
    with failures_told():
        record = open_workbench(workspace).replies.get(key)
        prompt = "\n".join(message["content"] for message in record.request.messages)
        finish(
            {
                "key": record.key,
                "state": record.state.value,
                "reason": record.reason,
                "finish_reason": record.finish_reason,
                "prompt": prompt,
                "reply": record.reply_text,
                "raw": record.raw,
                "answer_in_place_of_a_reply": record.error_body,
            },
            as_json=as_json,
        )


@requests.command("reread")
def reread(reason: ReasonOption = None, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Read failed replies again with today's parser; nothing is sent and nothing is paid."""
    with failures_told():
        shelf = open_workbench(workspace).replies
        with Progress(console=people) as bar:
            line = bar.add_task("Reading stored replies", total=None)
            report = shelf.reread(reason or (), tell=lambda done, total: bar.update(line, completed=done, total=total))
        finish(asdict(report), as_json=as_json)


def _came(record: RequestRecord) -> str:
    """The text of the reply, or what came in place of one."""
    return (record.error_body if record.reply_text is None else record.reply_text) or ""


def _reason(record: RequestRecord) -> str:
    return record.reason or "duplicate"
