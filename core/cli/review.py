"""`freeze`, `import`, `mine`, `export` and `starter`: the dataset from a shell. Versions have a file of their own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.dataset import ExportFormat, Fallbacks
from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.mining import MiningMethod, MiningPlan
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
    app.command()(mine)
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
    file: Annotated[Path, typer.Argument(help="JSONL, JSON, CSV, TSV, Parquet, Arrow, a zip or a folder of them, or a BEIR folder.")],
    accept: AcceptOption = False,
    source: Annotated[str, typer.Option(help="What the triples say they came from; a training plan weighs sources.")] = "import",
    weight: Annotated[float | None, typer.Option(help="How often training plans draw this source, against 1 for the others.")] = None,
    group: Annotated[TaskGroup, typer.Option(help="Group of rows in a form that names none.")] = TaskGroup.SHORT_LONG,
    task: Annotated[str, typer.Option(help="Instruction of rows in a form that names none.")] = Fallbacks().task,
    language: Annotated[str, typer.Option(help="Language of rows that name none.")] = "English",
    target_language: Annotated[str | None, typer.Option(help="Language of translations, where rows name none.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take pairs or triples in, in any form an export writes; bad rows are told with line and reason, the good ones are kept."""
    with failures_told():
        workbench = open_workbench(workspace)
        reviewer = workbench.settings.reviewer if accept else None
        fallbacks = Fallbacks(group, task, language, target_language)
        report = workbench.dataset.import_rows(file, source=source, weight=weight, accept_as=reviewer, fallbacks=fallbacks)
        _tell(report, as_json=as_json)


def mine(
    source: Annotated[str, typer.Option(help="Triples of this source only; all where absent.")] = "",
    method: Annotated[MiningMethod, typer.Option(help="What ranks the documents.")] = MiningMethod.BASELINE,
    first_rank: Annotated[int, typer.Option(min=1, help="The best ones may be answers nobody marked.")] = 6,
    last_rank: Annotated[int, typer.Option(min=1, help="The last rank a negative may have.")] = 100,
    most_similarity: Annotated[float, typer.Option(min=0.01, max=1, help="Highest cosine with the query; not for bm25.")] = 0.8,
    most_of_positive: Annotated[float, typer.Option(min=0.01, help="Highest score, as a share of the positive's.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Draws among the documents that fit.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a hard negative to triples without one; runs as a job, and is undone as one step."""
    with failures_told():
        if last_rank < first_rank:
            raise BadInput("The last rank lies before the first one.", hint="Give --last-rank at least as large as --first-rank.")
        workbench = open_workbench(workspace)
        plan = MiningPlan(
            source=source,
            method=method,
            first_rank=first_rank,
            last_rank=last_rank,
            most_similarity=most_similarity,
            most_of_positive=most_of_positive,
            seed=seed,
            reviewer=workbench.settings.reviewer,
        )
        job = follow(workbench, workbench.mining.start(plan))
        finish({"job": job.id, "state": job.state.value, **job.result}, as_json=as_json)


def export(
    out: Annotated[Path, typer.Option(help="File to write, replaced if there; a folder, for formats of several files; x.zip for one zip.")],
    version: Annotated[str | None, typer.Option(help="A version's id or name.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Triples with this verdict; all where neither is given.")] = None,
    format: Annotated[ExportFormat, typer.Option(help="All of them can be imported again.")] = ExportFormat.JSONL,  # noqa: A002
    instruction: Annotated[bool, typer.Option(help="Put the task before the query where the format has no place for it.")] = True,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version, or the triples as they stand now, as a file, a zip (--out x.zip) or a folder."""
    with failures_told():
        if version and verdict:
            raise BadInput("A version holds accepted triples only.", hint="Give --version or --verdict, not both.")
        shelf = open_workbench(workspace).dataset
        exported = shelf.export(version=version, wanted=TripleFilter(verdict=verdict), format=format, instruction=instruction)
        if out.suffix.lower() == ".zip":
            written = {out: exported.zipped}
        elif len(exported.files) == 1:
            written = {out: exported.data}
        else:
            _refuse_full(out)
            written = {out / name: content for name, content in exported.files.items()}
        for path, content in written.items():
            write_bytes(path, content)
        size = sum(len(content) for content in written.values())
        facts = {"out": str(out.resolve()), "rows": exported.rows, "bytes": size, "format": format.value}
        caution = {"caution": exported.caution} if exported.caution else {}
        finish({**facts, "files": sorted(exported.files), "not_held": exported.lost, **caution}, as_json=as_json)


def _refuse_full(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is there already.", hint="Give a new or an empty folder, or a name that ends in .zip.")


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
        people.print(f"{row.part} line {row.line}: {row.reason}".strip(), markup=False, highlight=False)
    if len(report.bad) > BAD_ROWS_TOLD:
        people.print(f"… and {len(report.bad) - BAD_ROWS_TOLD} more bad rows")
    counts = {"added": len(report.added), "duplicates": len(report.duplicates), "accepted": report.accepted}
    counts |= {"without_negative": report.without_negative, "unused_negatives": report.unused_negatives}
    bad = [asdict(row) for row in report.bad] if as_json else len(report.bad)
    finish({**counts, "bad": bad}, as_json=as_json)
