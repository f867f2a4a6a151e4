"""`freeze`, `import`, `export` and `starter load`: the dataset from a shell."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, open_workbench, people
from core.domain.dataset import ExportFormat, Fallbacks
from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.triple import Verdict
from core.errors import BadInput
from core.review.shelf import ImportReport
from core.storage.artifacts import write_bytes

BAD_ROWS_TOLD = 20
starter = typer.Typer(help="The triples that ship with the project.", no_args_is_help=True)
AcceptOption = Annotated[bool, typer.Option("--accept", help="Accept all rows at once; undone as one step on the Review page.")]


def register(app: typer.Typer) -> None:
    """Add the commands of review and dataset."""
    app.command()(freeze)
    app.command("import")(import_file)
    app.command()(export)
    app.add_typer(starter, name="starter")


def freeze(
    name: Annotated[str, typer.Option(help="Name of the version, for example v1.")],
    heldout_share: Annotated[float, typer.Option(help="Share of each group's tasks to hold out, 0 up to 1.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Chooses which tasks are held out.")] = 0,
    group: Annotated[list[TaskGroup] | None, typer.Option(help="Only this group; may be given more than once.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze the accepted triples as a dataset version."""
    with failures_told():
        wanted = TripleFilter(groups=tuple(group or ()))
        version = open_workbench(workspace).dataset.freeze(name, wanted, heldout_share=heldout_share, seed=seed)
        finish(asdict(version), as_json=as_json)


def import_file(
    file: Annotated[Path, typer.Argument(help="JSONL: group, task, query, positive, negative, …; or anchor, positive, negative.")],
    accept: AcceptOption = False,
    group: Annotated[TaskGroup, typer.Option(help="Group of rows in the anchor form that name none.")] = TaskGroup.SHORT_LONG,
    task: Annotated[str, typer.Option(help="Task of rows in the anchor form that name none.")] = Fallbacks().task,
    language: Annotated[str, typer.Option(help="Language of rows that name none.")] = "English",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take triples in from a file; bad rows are told with line and reason, the good ones are kept."""
    with failures_told():
        workbench = open_workbench(workspace)
        reviewer = workbench.settings.reviewer if accept else None
        report = workbench.dataset.import_rows(file, accept_as=reviewer, fallbacks=Fallbacks(group, task, language))
        _tell(report, as_json=as_json)


def export(
    out: Annotated[Path, typer.Option(help="File to write; an existing one is replaced.")],
    version: Annotated[str | None, typer.Option(help="A version's id or name.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Triples with this verdict; all where neither is given.")] = None,
    format: Annotated[ExportFormat, typer.Option(help="jsonl can be imported again.")] = ExportFormat.JSONL,  # noqa: A002
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version, or the triples as they stand now, to a file."""
    with failures_told():
        if version and verdict:
            raise BadInput("A version holds accepted triples only.", hint="Give --version or --verdict, not both.")
        data, rows = open_workbench(workspace).dataset.export(version=version, wanted=TripleFilter(verdict=verdict), format=format)
        write_bytes(out, data)
        finish({"out": str(out.resolve()), "rows": rows, "bytes": len(data), "format": format.value}, as_json=as_json)


@starter.command("load")
def load_starter(accept: AcceptOption = False, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Load the starter set: triples written for this project, waiting for review or accepted."""
    with failures_told():
        _tell(open_workbench(workspace).dataset.load_starter(accept=accept), as_json=as_json)


@starter.command("verify")
def verify_starter(
    data: Annotated[Path | None, typer.Option(help="Folder with starter/, heldout/ and faults/; the shipped one where absent.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recount everything the data cards claim and look for what must not be there; ends with status 1 where something is."""
    with failures_told():
        verdict = open_workbench(None).verify_shipped(data)
        table = Table("count", "is", "wanted", "", title="Shipped data")
        for count in verdict.counts:
            wanted = f"at least {count.least:g}" + (f", at most {count.most:g}" if count.most is not None else "")
            table.add_row(count.name, f"{count.value:g}", wanted, "ok" if count.met else "[red]missed[/red]")
        people.print(table)
        for finding in verdict.findings:
            people.print(f"{finding.record or 'the set'}: {finding.check}: {finding.message}", markup=False, highlight=False)
        missed = [count.name for count in verdict.counts if not count.met]
        facts = {"passed": verdict.passed, "counts": {count.name: count.value for count in verdict.counts}, "missed": missed}
        finish({**facts, "findings": [asdict(f) for f in verdict.findings] if as_json else len(verdict.findings)}, as_json=as_json)
        if not verdict.passed:
            raise typer.Exit(1)


def _tell(report: ImportReport, *, as_json: bool) -> None:
    for row in report.bad[:BAD_ROWS_TOLD]:
        people.print(f"line {row.line}: {row.reason}", markup=False, highlight=False)
    if len(report.bad) > BAD_ROWS_TOLD:
        people.print(f"… and {len(report.bad) - BAD_ROWS_TOLD} more bad rows")
    counts = {"added": len(report.added), "duplicates": len(report.duplicates), "accepted": report.accepted}
    bad = [asdict(row) for row in report.bad] if as_json else len(report.bad)
    finish({**counts, "bad": bad}, as_json=as_json)
