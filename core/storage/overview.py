"""Counts of everything a workspace holds, in one short transaction."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, func, select

from core.domain.progress import Counts
from core.storage.database import Database
from core.storage.schema import dataset_versions, jobs, prompt_versions, tasks, triples


def count_everything(database: Database) -> Counts:
    """The numbers of the home page's strip."""
    with database.reading() as connection:
        job_counts: dict[str, dict[str, int]] = {
            kind: dict(
                connection.execute(select(jobs.c.state, func.count()).where(jobs.c.kind == kind).group_by(jobs.c.state)).tuples().all()
            )
            for kind in ("train", "index", "evaluate")
        }
        flagged = connection.scalar(select(func.count()).where(triples.c.verdict == "pending", triples.c.suspicion > 0))
        return Counts(
            prompt_versions=_rows(connection, prompt_versions),
            tasks=_by(connection, tasks.c.state),
            triples=_by(connection, triples.c.verdict),
            flagged_pending=flagged or 0,
            versions=_rows(connection, dataset_versions),
            runs=job_counts["train"],
            indexes=job_counts["index"].get("done", 0),
            evaluations=job_counts["evaluate"].get("done", 0),
        )


def _rows(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _by(connection: Connection, column: Column[str]) -> dict[str, int]:
    return dict(connection.execute(select(column, func.count()).group_by(column)).tuples().all())
