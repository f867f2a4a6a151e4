"""What requests brought, counted in the database: both queries are answered from an index alone, without the requests' texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, case, func, select

from core.domain.comparison import ComparedRequest
from core.domain.prompt import PromptStep
from core.domain.request import RequestState
from core.domain.task import TaskState
from core.domain.triple import Verdict
from core.domain.yields import Yield, YieldAxis
from core.storage.database import Database
from core.storage.schema import requests, tasks, triples

COLUMNS = {YieldAxis.PROMPT: "prompt_version_id", YieldAxis.GROUP: "group", YieldAxis.LANGUAGE: "language", YieldAxis.MODEL: "model"}
GENERATED = "generated"  # source of triples that a request brought; imported ones have cost nothing here
MADE = ("made", "flagged", "accepted", "rejected")


class YieldStore:
    """Counts by prompt version, group, language or model."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by(self, axis: YieldAxis, *, step: PromptStep = PromptStep.EXAMPLE, job_ids: Sequence[str] = ()) -> list[Yield]:
        """One yield for each value that any request has, those that sent most first; with `job_ids`, of these jobs' requests only."""
        name = requests.c[COLUMNS[axis]]
        mine = [requests.c.step == step.value, *([requests.c.job_id.in_(job_ids)] if job_ids else [])]
        with self._database.reading() as connection:
            sent = {row.pop("name"): row for row in _rows(connection, _of_requests(name, mine))}
            made = {row.pop("name"): row for row in _rows(connection, _of_results(axis, step, mine, every=not job_ids))}
        found = [Yield(key or "", **row, **made.get(key, {})) for key, row in sent.items()]
        return sorted(found, key=lambda one: (-one.sent, one.name))

    def requests_of(self, job_id: str) -> list[ComparedRequest]:
        """All requests of a job with what became of them, in the order they were planned in."""
        c, t = requests.c, triples.c
        columns = (c.key, c.task_id, c.parameters, c.language, c.state, c.reason, t.id, t.verdict, t.suspicion)
        query = select(*columns).outerjoin(triples, t.request_key == c.key).where(c.job_id == job_id).order_by(c.planned_at, c.key)
        with self._database.reading() as connection:
            return [_compared(*row) for row in connection.execute(query)]


def _compared(  # noqa: PLR0913 - the columns of one row
    key: str, task_id: str, parameters: dict[str, Any], language: str | None, state: str, reason: str, triple_id: str | None,
    verdict: str | None, suspicion: float | None,
) -> ComparedRequest:  # fmt: skip
    return ComparedRequest(
        key=key,
        draw=(task_id, int(parameters["seed"])),
        language=language or "",
        state=RequestState(state),
        reason=reason,
        triple_id=triple_id,
        verdict=Verdict(verdict) if verdict else None,
        flagged=bool(suspicion),
    )


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _of_requests(name: ColumnElement[Any], mine: Sequence[ColumnElement[bool]]) -> Select[Any]:
    c = requests.c
    received = c.finish_reason.is_not(None)  # each stored reply has one, and unlike the reply it is short enough for an index
    return (
        select(
            name.label("name"),
            _count(c.attempts > 0).label("sent"),
            _count(received).label("replies"),
            _count(c.state == RequestState.PARSED.value).label("parsed"),
            _count(c.state == RequestState.FAILED.value).label("failed"),
            func.coalesce(func.sum(c.prompt_tokens), 0).label("prompt_tokens"),
            func.coalesce(func.sum(c.completion_tokens), 0).label("completion_tokens"),
            func.coalesce(func.sum(c.cost), 0.0).label("known_cost"),
            _count(received & c.cost.is_(None)).label("unpriced"),
        )
        .where(*mine)
        .group_by(name)
    )


def _of_results(axis: YieldAxis, step: PromptStep, mine: Sequence[ColumnElement[bool]], *, every: bool) -> Select[Any]:
    """Triples of example requests, tasks of brainstorms. A triple carries what its request was of, so that all are counted unjoined."""
    if step is PromptStep.EXAMPLE and every:
        return _of_triples(triples.c[COLUMNS[axis]]).where(triples.c.source == GENERATED)
    asked = select(requests.c.key, requests.c[COLUMNS[axis]].label("name")).where(*mine).subquery()
    if step is PromptStep.EXAMPLE:
        return _of_triples(asked.c.name).join(asked, triples.c.request_key == asked.c.key)
    return _of_tasks(asked)


def _of_triples(name: ColumnElement[Any]) -> Select[Any]:
    c = triples.c
    conditions = (c.suspicion > 0, c.verdict == Verdict.ACCEPTED.value, c.verdict == Verdict.REJECTED.value)
    return _made(name, conditions).select_from(triples).group_by(name)


def _of_tasks(asked: Subquery) -> Select[Any]:
    c = tasks.c
    conditions = (c.state == "", c.state == TaskState.ACCEPTED.value, c.state == TaskState.REJECTED.value)  # no check flags a task
    return _made(asked.c.name, conditions).select_from(tasks).join(asked, c.request_key == asked.c.key).group_by(asked.c.name)


def _made(name: ColumnElement[Any], conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    counts = (func.count(), *(_count(condition) for condition in conditions))
    return select(name.label("name"), *(count.label(word) for word, count in zip(MADE, counts, strict=True)))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
