"""Stored replies that brought nothing: the failed ones, and those whose example was there already."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, func, or_, select

from core.domain.prompt import PromptStep
from core.domain.request import RequestState
from core.storage.database import Database
from core.storage.schema import requests, triples


class StoredReplies:
    """Keys of requests that were answered; the ledger gives the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def failed(self, reasons: Sequence[str] = (), *, replies_only: bool = False, limit: int | None = None) -> list[str]:
        """Requests whose answer could not be used, for any of `reasons` or for all, oldest first.

        An answer is a reply or, unless `replies_only`, what came in place of one: a refusal, a page of a proxy.
        """
        c = requests.c
        came = c.raw.is_not(None) if replies_only else or_(c.raw.is_not(None), c.error_body.is_not(None))
        query = select(c.key).where(c.state == RequestState.FAILED.value, came)
        if reasons:
            query = query.where(c.reason.in_(reasons))
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(func.coalesce(c.received_at, c.sent_at), c.key).limit(limit)))

    def duplicates(self, *, limit: int | None = None) -> list[str]:
        """Requests whose reply was read and dropped, since its example was in the workspace already, oldest first."""
        c = requests.c
        kept = exists().where(triples.c.request_key == c.key)
        query = select(c.key).where(c.state == RequestState.PARSED.value, c.step == PromptStep.EXAMPLE.value, ~kept)
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(c.received_at, c.key).limit(limit)))
