"""`versions list`, `diff` and `overlap`: what frozen datasets hold and how they differ."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, open_workbench, people

TOLD = 20
CHARACTERS = 100
versions = typer.Typer(help="Frozen dataset versions.", no_args_is_help=True)
VersionArgument = Annotated[str, typer.Argument(help="A version's id or name.")]


def register(app: typer.Typer) -> None:
    """Add the commands of versions."""
    app.add_typer(versions, name="versions")


@versions.command("list")
def list_versions(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """All versions, newest first, with the hash of their content."""
    with failures_told():
        found = open_workbench(workspace).dataset.versions()
        table = Table("name", "train", "held out", "content hash", "frozen (UTC)")
        for version in found:
            table.add_row(
                version.name, f"{version.train_count:,}", f"{version.heldout_count:,}", version.content_hash[:16], version.created_at[:16]
            )
        people.print(table)
        finish({"versions": [asdict(version) for version in found] if as_json else len(found)}, as_json=as_json)


@versions.command()
def diff(older: VersionArgument, newer: VersionArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Triples that were added, removed, changed or moved to the other side, with their texts."""
    with failures_told():
        shelf = open_workbench(workspace).dataset
        found = shelf.diff(older, newer)
        before, after = ({e.triple_id: e for e in shelf.examples(version)} for version in (older, newer))
        changes = {"added": found.added, "removed": found.removed, "changed": found.rewritten, "moved": found.moved}
        rows: dict[str, list[dict[str, Any]]] = {
            name: [
                {
                    "id": i,
                    **{when: asdict(side[i].texts) | {"split": side[i].split.value} for when, side in _sides(before, after) if i in side},
                }
                for i in ids
            ]
            for name, ids in changes.items()
        }
        for name, some in rows.items():
            for row in some[:TOLD]:
                texts = row.get("after") or row["before"]
                people.print(f"{name} {row['id']}: {texts['query'][:CHARACTERS]!r}", markup=False, highlight=False)
            if len(some) > TOLD:
                people.print(f"… and {len(some) - TOLD} more {name}; --json gives all")
        finish({**({k: v if as_json else len(v) for k, v in rows.items()}), "same": found.same}, as_json=as_json)


def _sides(before: dict[str, Any], after: dict[str, Any]) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ("before", before), ("after", after)


@versions.command()
def overlap(
    version: VersionArgument,
    collection: Annotated[list[str] | None, typer.Option(help="A test collection; all there are where absent.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Texts on both sides of the split, and those of test collections that were trained on; status 1 for a query or a task."""
    with failures_told():
        workbench = open_workbench(workspace)
        inside = workbench.dataset.overlap(version)
        tests = {name: workbench.evaluation.overlap(name, version) for name in collection or dict(workbench.evaluation.collections.names())}
        for shared in inside[:TOLD]:
            people.print(f"both sides: {shared.kind} {shared.text[:CHARACTERS]!r}", markup=False, highlight=False)
        for name, found in tests.items():
            for kind, texts in asdict(found).items():
                for text in texts[:TOLD]:
                    people.print(f"{name}: {kind} {text[:CHARACTERS]!r}", markup=False, highlight=False)
        told = {name: asdict(found) if as_json else {k: len(v) for k, v in asdict(found).items()} for name, found in tests.items()}
        finish({"both_sides": [asdict(o) for o in inside] if as_json else len(inside), "collections": told}, as_json=as_json)
        if any(found.queries or found.tasks for found in tests.values()):
            raise typer.Exit(1)
