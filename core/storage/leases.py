"""Leases: whose desk a card lies on. Taken in the transaction that finds the card, so that two windows never get the same one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update

from core.domain.people import Seat
from core.storage.database import Database
from core.storage.schema import leases


class LeaseStore:
    """Leases by triple and reviewer; `holder` names the reviewer's window."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Nobody else takes a card, or writes at all, inside the block: what was looked up in it holds when it is acted upon."""
        with self._database.together():
            yield

    def hold(self, triple_id: str, seat: Seat, *, places: int = 1, done: Collection[str] = ()) -> bool:
        """Take or renew a card for the seat, from another window of the same reviewer too. What the window held before is given back.

        Returns False, and changes nothing, where other reviewers hold all `places` of it. Those who are `done` with it take none.
        """
        c = leases.c
        with self._database.transaction() as connection:
            connection.execute(delete(leases).where(c.expires_at <= seat.at))
            others = select(func.count()).where(c.triple_id == triple_id, c.reviewer.not_in([seat.reviewer, *done]))
            if connection.execute(others).scalar_one() >= places:
                return False
            mine = (c.triple_id == triple_id) & (c.reviewer == seat.reviewer)
            connection.execute(delete(leases).where((c.holder == seat.holder) | mine))
            connection.execute(
                insert(leases).values(triple_id=triple_id, reviewer=seat.reviewer, holder=seat.holder, expires_at=_end_of(seat))
            )
        return True

    def renew(self, seat: Seat) -> bool:
        """Keep what the window holds for another span. False where it holds nothing that has not run out."""
        c = leases.c
        with self._database.transaction() as connection:
            statement = update(leases).where(c.holder == seat.holder, c.reviewer == seat.reviewer, c.expires_at > seat.at)
            return connection.execute(statement.values(expires_at=_end_of(seat))).rowcount > 0

    def release(self, holder: str) -> None:
        """Give back what a window holds."""
        with self._database.transaction() as connection:
            connection.execute(delete(leases).where(leases.c.holder == holder))

    def reviewers_of(self, triple_id: str, at: str) -> list[str]:
        """Who has this card on the desk at a time (ISO 8601, UTC)."""
        c = leases.c
        query = select(c.reviewer).where(c.triple_id == triple_id, c.expires_at > at).order_by(c.reviewer)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())


def _end_of(seat: Seat) -> str:
    return (datetime.fromisoformat(seat.at) + timedelta(minutes=seat.rules.lease_minutes)).isoformat(timespec="milliseconds")
