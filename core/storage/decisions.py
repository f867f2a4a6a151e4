"""The append-only log of decisions; the standing of each triple is rewritten in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from core.domain.review import MINED, Action, Decision, Reading, Standing, Step, changes_of, informed_readers, replay
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, NotFound
from core.storage.database import Database, now
from core.storage.schema import decisions, readings, triples
from core.storage.triple_rows import standing_values, taken_back_by
from core.storage.triples import chunks

VERDICT_ACTIONS = (Action.ACCEPT.value, Action.REJECT.value)


class DecisionStore:
    """Entries in, entries out; nothing is ever changed or deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entries: Sequence[Decision], *, seen: Standing | None = None) -> list[Decision]:
        """Write entries and the standings that follow, all or nothing. Returns them with id and time.

        Raises:
            NotFound: an entry speaks of a triple that does not exist; nothing is written.
            BadInput: somebody changed the verdict or the texts of a triple since they were `seen`; nothing is written.
        """
        if not entries:
            return []
        moment = now()
        dated = [entry if entry.created_at else replace(entry, created_at=moment) for entry in entries]
        touched = list(dict.fromkeys(entry.triple_id for entry in dated))
        with self._database.transaction() as connection:
            _require(connection, touched, seen)
            statement = insert(decisions).returning(decisions.c.id, sort_by_parameter_order=True)
            ids = connection.execute(statement, [_values(entry) for entry in dated]).scalars().all()
            _restate(connection, touched)
        return [replace(entry, id=i) for entry, i in zip(dated, ids, strict=True)]

    def together(self) -> AbstractContextManager[None]:
        """Everything written and read by this thread inside the block is one transaction: nobody decides in between."""
        return self._database.together()

    def of_triple(self, triple_id: str) -> list[Decision]:
        """A triple's log, oldest first."""
        return self._read(decisions.c.triple_id == triple_id)

    def logs(self, triple_ids: Sequence[str]) -> dict[str, list[Decision]]:
        """The logs of some triples, each oldest first; every id has one."""
        with self._database.reading() as connection:
            return _logs(connection, triple_ids)

    def verdicts(self, triple_ids: Iterable[str]) -> dict[str, Verdict]:
        """What holds of those of these triples that exist, in the order given."""
        wanted, c = list(dict.fromkeys(triple_ids)), triples.c
        found: dict[str, str] = {}
        with self._database.reading() as connection:
            for chunk in chunks(wanted):
                found |= dict(connection.execute(select(c.id, c.verdict).where(c.id.in_(chunk))).tuples().all())
        return {i: Verdict(found[i]) for i in wanted if i in found}

    def holding(self, step: Step, reviewer: str) -> list[Decision]:
        """The entries of a reviewer's step that were not taken back."""
        c = decisions.c
        own = c.batch_id == step.batch_id if step.batch_id else c.id == step.first_id
        return self._read(own & _still(reviewer))

    def count_holding(self, batch_id: str, reviewer: str) -> int:
        """How many entries of a reviewer's batch were not taken back."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).where(decisions.c.batch_id == batch_id, _still(reviewer))).scalar_one()

    def get(self, decision_id: int) -> Decision:
        """One entry.

        Raises:
            NotFound: no entry has this id.
        """
        found = self._read(decisions.c.id == decision_id)
        if not found:
            raise NotFound(f"There is no decision {decision_id}.", hint="Reload the page; the list of your last decisions is shown there.")
        return found[0]

    def steps(self, reviewer: str, *, limit: int = 50, mined: bool = False) -> list[Step]:
        """A reviewer's newest steps that still hold, the one begun last first; with `mined` what mining jobs wrote for them too."""
        c = decisions.c
        step = func.coalesce(c.batch_id, cast(c.id, String))
        first = func.min(c.id).label("first_id")
        by_hand = true() if mined else or_(c.batch_id.is_(None), c.batch_id.not_like(f"{MINED}%"))
        query = (
            select(
                func.min(c.action).label("action"),
                func.count().label("entries"),
                first,
                func.max(c.created_at).label("created_at"),
                func.min(c.triple_id).label("triple_id"),
                func.max(c.batch_id).label("batch_id"),
                func.max(c.reason).label("reason"),
            )
            .where(_still(reviewer), by_hand)
            .group_by(step)
            .order_by(first.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Step(**{**row, "action": Action(row["action"])}) for row in connection.execute(query).mappings()]

    def tempo(self, reviewer: str, since: str) -> tuple[int, int, str]:
        """(verdicts of a reviewer, verdicts since a time, time of the first of those or ""); neither bulk actions nor undone ones count."""
        c = decisions.c
        recent = c.created_at >= since
        query = select(
            func.count(), func.coalesce(func.sum(case((recent, 1), else_=0)), 0), func.coalesce(func.min(case((recent, c.created_at))), "")
        ).where(c.reviewer == reviewer, c.action.in_(VERDICT_ACTIONS), c.batch_id.is_(None), c.id.not_in(taken_back_by(reviewer)))
        with self._database.reading() as connection:
            total, lately, first = connection.execute(query).one()
        return int(total), int(lately), str(first)

    def newest_id(self) -> int:
        """Id of the last entry, 0 where there is none: the log grew if it did."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(decisions.c.id), 0))).scalar_one())

    def read_by_several(self) -> dict[str, list[Reading]]:
        """Readings by triple where at least two gave an independent verdict, in the order of the log.

        Triples that wait for more readings are left out: nobody may know of theirs. So is a reading by who had seen the others'.
        """
        c = readings.c
        several = select(c.triple_id).group_by(c.triple_id).having(func.count() > 1)
        open_to_all = triples.c.verdict != Verdict.PENDING.value
        query = select(readings).join(triples, triples.c.id == c.triple_id).where(c.triple_id.in_(several), open_to_all)
        found: dict[str, list[Reading]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.order_by(c.triple_id, c.position)):
                found.setdefault(row.triple_id, []).append(Reading(row.reviewer, Verdict(row.verdict), row.reason, row.decided_at))
            of_undos = select(decisions.c.triple_id).where(decisions.c.undoes.is_not(None)).distinct()
            reopened = [i for i in connection.execute(of_undos).scalars() if i in found]
            for triple_id, log in _logs(connection, reopened).items():
                informed = informed_readers(log)
                found[triple_id] = [reading for reading in found[triple_id] if reading.reviewer not in informed]
        return {i: independent for i, independent in found.items() if len(independent) > 1}

    def rebuild_standings(self) -> int:
        """Derive every standing anew from the log. Returns how many triples were rewritten."""
        with self._database.transaction() as connection:
            ids = connection.execute(select(triples.c.id).order_by(triples.c.number)).scalars().all()
            _restate(connection, ids)
        return len(ids)

    def _read(self, condition: Any) -> list[Decision]:
        with self._database.reading() as connection:
            return [_read_row(row) for row in connection.execute(select(decisions).where(condition).order_by(decisions.c.id)).mappings()]


def _still(reviewer: str) -> ColumnElement[bool]:
    """Entries of a reviewer that hold: no undo, and not taken back."""
    c = decisions.c
    return and_(c.reviewer == reviewer, c.action != Action.UNDO.value, c.id.not_in(taken_back_by(reviewer)))


def _logs(connection: Connection, triple_ids: Sequence[str]) -> dict[str, list[Decision]]:
    logs: dict[str, list[Decision]] = {i: [] for i in triple_ids}
    for chunk in chunks(triple_ids):
        query = select(decisions).where(decisions.c.triple_id.in_(chunk)).order_by(decisions.c.id)
        for row in connection.execute(query).mappings():
            logs[row["triple_id"]].append(_read_row(row))
    return logs


def _restate(connection: Connection, triple_ids: Sequence[str]) -> None:
    statement = update(triples).where(triples.c.id == bindparam("of_triple"))
    for chunk in chunks(triple_ids):
        standings = {i: replay(log) for i, log in _logs(connection, chunk).items()}
        connection.execute(statement, [{"of_triple": i, **standing_values(standing)} for i, standing in standings.items()])
        connection.execute(delete(readings).where(readings.c.triple_id.in_(chunk)))
        read = [
            {"triple_id": i, "position": position, **asdict(reading)}
            for i, standing in standings.items()
            for position, reading in enumerate(standing.readings)
        ]
        if read:
            connection.execute(insert(readings), read)


def _require(connection: Connection, triple_ids: Sequence[str], seen: Standing | None) -> None:
    c = triples.c
    for chunk in chunks(triple_ids):
        known = {row.id: row for row in connection.execute(select(c.id, c.verdict, c.reviewer, c.edited_texts).where(c.id.in_(chunk)))}
        if missing := [i for i in chunk if i not in known]:
            raise NotFound(f"There is no triple {missing[0]}.", hint="It may belong to another workspace; search for its text.")
        if seen:
            for row in known.values():
                _refuse_unseen(connection, row, seen)


def _refuse_unseen(connection: Connection, row: Any, seen: Standing) -> None:
    """A decision is on what was on screen: refuse it where somebody changed that in the meantime."""
    if row.verdict != seen.verdict.value:
        if row.verdict == Verdict.PENDING.value:
            raise BadInput(f"This triple is no longer {seen.verdict.value}: that was taken back.", hint="Look at it again, then decide.")
        raise BadInput(
            f"{row.reviewer} {row.verdict} this triple in the meantime.",
            hint="Go on with the next one; the Dataset page changes a verdict that is already there.",
        )
    if row.edited_texts != (asdict(seen.texts) if seen.texts else None):
        log = _logs(connection, [row.id])[row.id]
        who = [entry.reviewer for entry, before, after in changes_of(log) if before.texts != after.texts]
        raise BadInput(
            f"{who[-1]} changed the texts of this triple in the meantime.",
            hint="Nothing was saved and nothing is lost: read the texts as they stand now, then decide or save again.",
        )


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
        "readers": entry.readers,
        "adjudicates": entry.adjudicates,
        "shown": list(entry.shown),
    }


def _read_row(row: RowMapping) -> Decision:
    texts = Texts(**row["texts"]) if row["texts"] else None
    return Decision(**{**row, "action": Action(row["action"]), "texts": texts, "shown": tuple(row["shown"])})
