"""The append-only log of decisions; the standing of each triple is rewritten in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, String, bindparam, case, cast, func, insert, select, update

from core.domain.review import Action, Decision, replay
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, NotFound
from core.storage.database import Database, now
from core.storage.schema import decisions, triples
from core.storage.triple_rows import standing_values
from core.storage.triples import CHUNK

VERDICT_ACTIONS = (Action.ACCEPT.value, Action.REJECT.value)


@dataclass(frozen=True, slots=True)
class Step:
    """What one press of a button wrote: one entry, or all entries of a bulk action."""

    action: Action
    entries: int
    first_id: int
    last_id: int
    created_at: str
    batch_id: str | None = None
    reason: str = ""


class DecisionStore:
    """Entries in, entries out; nothing is ever changed or deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entries: Sequence[Decision], *, while_pending: bool = False) -> list[Decision]:
        """Write entries and the standings that follow, all or nothing. Returns them with id and time.

        Raises:
            NotFound: an entry speaks of a triple that does not exist; nothing is written.
            BadInput: with `while_pending`, a triple was decided in the meantime; nothing is written.
        """
        if not entries:
            return []
        moment = now()
        dated = [entry if entry.created_at else replace(entry, created_at=moment) for entry in entries]
        touched = list(dict.fromkeys(entry.triple_id for entry in dated))
        with self._database.transaction() as connection:
            _require(connection, touched, while_pending=while_pending)
            statement = insert(decisions).returning(decisions.c.id, sort_by_parameter_order=True)
            ids = connection.execute(statement, [_values(entry) for entry in dated]).scalars().all()
            _restate(connection, touched)
        return [replace(entry, id=i) for entry, i in zip(dated, ids, strict=True)]

    def of_triple(self, triple_id: str) -> list[Decision]:
        """A triple's log, oldest first."""
        return self._read(decisions.c.triple_id == triple_id)

    def of_batch(self, batch_id: str) -> list[Decision]:
        """All entries of a bulk action."""
        return self._read(decisions.c.batch_id == batch_id)

    def get(self, decision_id: int) -> Decision:
        """One entry.

        Raises:
            NotFound: no entry has this id.
        """
        found = self._read(decisions.c.id == decision_id)
        if not found:
            raise NotFound(f"There is no decision {decision_id}.", hint="Reload the page; the list of your last decisions is shown there.")
        return found[0]

    def steps(self, reviewer: str, *, limit: int = 50) -> list[Step]:
        """A reviewer's newest steps that still hold, newest first."""
        c = decisions.c
        taken_back = select(c.undoes).where(c.reviewer == reviewer, c.undoes.is_not(None))
        step = func.coalesce(c.batch_id, cast(c.id, String))
        last = func.max(c.id).label("last_id")
        query = (
            select(
                func.min(c.action).label("action"),
                func.count().label("entries"),
                func.min(c.id).label("first_id"),
                last,
                func.max(c.created_at).label("created_at"),
                func.max(c.batch_id).label("batch_id"),
                func.max(c.reason).label("reason"),
            )
            .where(c.reviewer == reviewer, c.action != Action.UNDO.value, c.id.not_in(taken_back))
            .group_by(step)
            .order_by(last.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Step(**{**row, "action": Action(row["action"])}) for row in connection.execute(query).mappings()]

    def tempo(self, reviewer: str, since: str) -> tuple[int, int, str]:
        """(verdicts of a reviewer, verdicts since a time, time of the first of those or ""); neither bulk actions nor undone ones count."""
        c = decisions.c
        recent = c.created_at >= since
        taken_back = select(c.undoes).where(c.reviewer == reviewer, c.undoes.is_not(None))
        query = select(
            func.count(), func.coalesce(func.sum(case((recent, 1), else_=0)), 0), func.coalesce(func.min(case((recent, c.created_at))), "")
        ).where(c.reviewer == reviewer, c.action.in_(VERDICT_ACTIONS), c.batch_id.is_(None), c.id.not_in(taken_back))
        with self._database.reading() as connection:
            total, lately, first = connection.execute(query).one()
        return int(total), int(lately), str(first)

    def rebuild_standings(self) -> int:
        """Derive every standing anew from the log. Returns how many triples were rewritten."""
        done = 0
        with self._database.transaction() as connection:
            ids = connection.execute(select(triples.c.id).order_by(triples.c.number)).scalars().all()
            for start in range(0, len(ids), CHUNK):
                _restate(connection, ids[start : start + CHUNK])
                done += len(ids[start : start + CHUNK])
        return done

    def _read(self, condition: Any) -> list[Decision]:
        with self._database.reading() as connection:
            return [_read_row(row) for row in connection.execute(select(decisions).where(condition).order_by(decisions.c.id)).mappings()]


def _restate(connection: Connection, triple_ids: Sequence[str]) -> None:
    statement = update(triples).where(triples.c.id == bindparam("of_triple"))
    for start in range(0, len(triple_ids), CHUNK):
        chunk = triple_ids[start : start + CHUNK]
        logs: dict[str, list[Decision]] = {i: [] for i in chunk}
        query = select(decisions).where(decisions.c.triple_id.in_(chunk)).order_by(decisions.c.id)
        for row in connection.execute(query).mappings():
            logs[row["triple_id"]].append(_read_row(row))
        connection.execute(statement, [{"of_triple": i, **standing_values(replay(log))} for i, log in logs.items()])


def _require(connection: Connection, triple_ids: Sequence[str], *, while_pending: bool) -> None:
    c = triples.c
    for chunk in _chunks(triple_ids):
        known = {row.id: row for row in connection.execute(select(c.id, c.verdict, c.reviewer).where(c.id.in_(chunk)))}
        if missing := [i for i in chunk if i not in known]:
            raise NotFound(f"There is no triple {missing[0]}.", hint="It may belong to another workspace; search for its text.")
        if while_pending and (decided := [row for row in known.values() if row.verdict != Verdict.PENDING.value]):
            raise BadInput(
                f"{decided[0].reviewer} {decided[0].verdict} this triple in the meantime.",
                hint="Go on with the next one; the Dataset page changes a verdict that is already there.",
            )


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _values(entry: Decision) -> dict[str, Any]:
    return {
        "triple_id": entry.triple_id,
        "reviewer": entry.reviewer,
        "action": entry.action.value,
        "reason": entry.reason,
        "texts": asdict(entry.texts) if entry.texts else None,
        "undoes": entry.undoes,
        "batch_id": entry.batch_id,
        "created_at": entry.created_at,
    }


def _read_row(row: RowMapping) -> Decision:
    texts = Texts(**row["texts"]) if row["texts"] else None
    return Decision(**{**row, "action": Action(row["action"]), "texts": texts})
