"""The ledger of requests: planned -> sent -> received -> parsed | failed. A reply is committed before anything reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, RowMapping, case, func, insert, or_, select, update

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep, PromptYield
from core.domain.request import PlannedRequest, RequestRecord, RequestState, RequestTally
from core.domain.triple import Verdict
from core.errors import NotFound
from core.storage.database import Database, now
from core.storage.schema import requests, triples

KEYS_A_QUERY = 500  # SQLite allows 32,766 variables a statement; small slices keep memory flat
NEWEST_REPLIES = 40  # whose times the rate is computed from
# Never answered: planned, sent and lost in a crash, or failed without a reply. A failed request that has a reply was paid and is kept.
MISSING = or_(
    requests.c.state.in_((RequestState.PLANNED.value, RequestState.SENT.value)),
    (requests.c.state == RequestState.FAILED.value) & requests.c.raw.is_(None),
)


class Ledger:
    """Requests in, records out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, planned: Sequence[PlannedRequest], job_id: str) -> int:
        """Store requests before any is sent, in one transaction; returns how many are to be sent.

        A key that was answered before stays as it is, with the job that paid for it. One that was never answered moves to this job.
        """
        unique = {request.key: request for request in planned}
        new = 0
        with self._database.transaction() as connection:
            for keys in _slices(list(unique)):
                known = set(connection.scalars(select(requests.c.key).where(requests.c.key.in_(keys))))
                moved = update(requests).where(requests.c.key.in_(keys), MISSING)
                new += connection.execute(moved.values(job_id=job_id, state=RequestState.PLANNED.value, reason="")).rowcount
                rows = [_row_of(unique[key], key, job_id) for key in keys if key not in known]
                if rows:
                    connection.execute(insert(requests), rows)
                new += len(rows)
        return new

    def is_planned(self, job_id: str) -> bool:
        """Whether the job's requests are in the ledger (then a resumed job goes on with them)."""
        with self._database.reading() as connection:
            return connection.scalar(select(requests.c.key).where(requests.c.job_id == job_id).limit(1)) is not None

    def answered(self, keys: Sequence[str]) -> int:
        """How many of these requests have a reply already and would not be sent again."""
        count = 0
        with self._database.reading() as connection:
            for some in _slices(list(dict.fromkeys(keys))):
                count += connection.scalar(select(func.count()).where(requests.c.key.in_(some), requests.c.raw.is_not(None))) or 0
        return count

    def to_send(self, job_id: str) -> list[RequestRecord]:
        """Requests of a job without a reply, the oldest plan first."""
        return self._find(requests.c.job_id == job_id, MISSING)

    def to_read(self, job_id: str) -> list[RequestRecord]:
        """Requests whose reply was stored and not yet read: a kill fell between the two. Reading them again is free."""
        return self._find(requests.c.job_id == job_id, requests.c.state == RequestState.RECEIVED.value)

    def failures(self, job_id: str, *, limit: int = 200) -> list[RequestRecord]:
        """Failed requests of a job with their raw replies, newest first."""
        return self._find(requests.c.job_id == job_id, requests.c.state == RequestState.FAILED.value, limit=limit)

    def get(self, key: str) -> RequestRecord:
        """One request.

        Raises:
            NotFound: no such request.
        """
        found = self._find(requests.c.key == key)
        if not found:
            raise NotFound(f"There is no request {key}.", hint="It may belong to another workspace.")
        return found[0]

    def mark_sent(self, key: str, job_id: str) -> bool:
        """The request leaves now: from here on it may be paid. False where another job took it over: then it must not be sent here."""
        values = {"state": RequestState.SENT.value, "sent_at": now(), "attempts": requests.c.attempts + 1}
        with self._database.transaction() as connection:
            claimed = update(requests).where(requests.c.key == key, requests.c.job_id == job_id, MISSING)
            return connection.execute(claimed.values(**values)).rowcount == 1

    def mark_received(self, key: str, reply: ChatReply, cost: float | None) -> None:
        """Keep the reply whole. `cost` in US dollars, None where the price is unknown."""
        self._set(
            key,
            state=RequestState.RECEIVED.value,
            raw=reply.raw or reply.text,
            reply_text=reply.text,
            finish_reason=reply.finish_reason,
            provider_request_id=reply.request_id,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=cost,
            seconds=reply.seconds,
            received_at=now(),
        )

    def mark_parsed(self, key: str) -> None:
        """The reply was used."""
        self._set(key, state=RequestState.PARSED.value, reason="")

    def mark_failed(self, key: str, reason: str) -> None:
        """The request brought nothing; `reason` is a short code."""
        self._set(key, state=RequestState.FAILED.value, reason=reason)

    def tally(self, job_id: str) -> RequestTally:
        """Counts of a job's requests for its live view."""
        c, mine = requests.c, requests.c.job_id == job_id
        by_state: dict[RequestState, int] = {}
        by_group: dict[TaskGroup, dict[RequestState, int]] = {}
        paid = (c.raw.is_not(None), func.count(c.cost), func.coalesce(func.sum(c.cost), 0.0))
        sums = tuple(func.coalesce(func.sum(column), 0) for column in (c.prompt_tokens, c.completion_tokens, c.attempts))
        with self._database.reading() as connection:
            for group, state, count in connection.execute(select(c.group, c.state, func.count()).where(mine).group_by(c.group, c.state)):
                by_state[RequestState(state)] = by_state.get(RequestState(state), 0) + count
                by_group.setdefault(TaskGroup(group), {})[RequestState(state)] = count
            failed = select(c.reason, func.count()).where(mine, c.state == RequestState.FAILED.value).group_by(c.reason)
            reasons = {str(row[0]): int(row[1]) for row in connection.execute(failed)}
            received, priced, money, *summed = connection.execute(
                select(func.coalesce(func.sum(case((paid[0], 1), else_=0)), 0), *paid[1:], *sums).where(mine)
            ).one()
            times = connection.scalars(
                select(c.received_at).where(mine, c.received_at.is_not(None)).order_by(c.received_at.desc()).limit(NEWEST_REPLIES)
            )
            newest = tuple(sorted(times))
        cost = money if received == priced else None
        prompt_tokens, completion_tokens, attempts = (int(value) for value in summed)
        return RequestTally(by_state, by_group, reasons, cost, money, prompt_tokens, completion_tokens, attempts, int(received), newest)

    def typical(self, base_url: str, model: str, group: TaskGroup, step: PromptStep) -> tuple[int, float | None, float | None]:
        """What past replies of this model to such a prompt were like: (how many, mean completion tokens, mean seconds)."""
        c = requests.c
        query = select(func.count(), func.avg(c.completion_tokens), func.avg(c.seconds)).where(
            c.base_url == base_url, c.model == model, c.group == group.value, c.step == step.value, c.raw.is_not(None)
        )
        with self._database.reading() as connection:
            count, tokens, seconds = connection.execute(query).one()
        return count, tokens, seconds

    def yields(self) -> dict[str, PromptYield]:
        """What each prompt version brought, by its id."""
        c = requests.c
        counted = select(
            c.prompt_version_id,
            func.count(c.sent_at),
            func.sum(case((c.state == RequestState.PARSED.value, 1), else_=0)),
            func.sum(case((c.state == RequestState.FAILED.value, 1), else_=0)),
            func.sum(case((c.raw.is_not(None) & c.cost.is_(None), 1), else_=0)),
            func.coalesce(func.sum(c.cost), 0.0),
        ).where(c.prompt_version_id.is_not(None))
        verdicts = select(triples.c.prompt_version_id, triples.c.verdict, func.count()).where(triples.c.prompt_version_id.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(counted.group_by(c.prompt_version_id)).all()
            judged: dict[str, dict[str, int]] = {}
            for version_id, verdict, count in connection.execute(verdicts.group_by(triples.c.prompt_version_id, triples.c.verdict)):
                judged.setdefault(version_id, {})[verdict] = count
        found = {row[0]: row[1:] for row in rows}
        return {
            version_id: _yield_of(version_id, found.get(version_id, (0, 0, 0, 0, 0.0)), judged.get(version_id, {}))
            for version_id in found.keys() | judged.keys()
        }

    def _find(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[RequestRecord]:
        newest_first = (requests.c.sent_at.desc(), requests.c.key)
        order = newest_first if limit is not None else (requests.c.planned_at, requests.c.key)
        query = select(requests).where(*conditions).order_by(*order).limit(limit)
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query).mappings()]

    def _set(self, key: str, **columns: object) -> None:
        with self._database.transaction() as connection:
            connection.execute(update(requests).where(requests.c.key == key).values(**columns))


def _slices(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), KEYS_A_QUERY):
        yield keys[start : start + KEYS_A_QUERY]


def _yield_of(version_id: str, row: Sequence[float], verdicts: dict[str, int]) -> PromptYield:
    sent, parsed, failed, unpriced, cost = row
    return PromptYield(
        prompt_version_id=version_id,
        sent=int(sent),
        parsed=int(parsed),
        failed=int(failed),
        accepted=verdicts.get(Verdict.ACCEPTED.value, 0),
        rejected=verdicts.get(Verdict.REJECTED.value, 0),
        pending=verdicts.get(Verdict.PENDING.value, 0),
        cost=None if unpriced else float(cost),
    )


def _row_of(request: PlannedRequest, key: str, job_id: str) -> dict[str, object]:
    return {
        "key": key,
        "step": request.step.value,
        "group": request.group.value,
        "base_url": request.base_url,
        "model": request.model,
        "messages": [dict(message) for message in request.messages],
        "parameters": dict(request.parameters),
        "reply_schema": dict(request.schema) if request.schema is not None else None,
        "replicate": request.replicate,
        "slots": dict(request.slots),
        "language": request.language,
        "target_language": request.target_language,
        "task_id": request.task_id,
        "prompt_version_id": request.prompt_version_id,
        "job_id": job_id,
        "state": RequestState.PLANNED.value,
        "reason": "",
        "attempts": 0,
        "planned_at": now(),
    }


def _record_of(row: RowMapping) -> RequestRecord:
    request = PlannedRequest(
        step=PromptStep(row["step"]),
        group=TaskGroup(row["group"]),
        base_url=row["base_url"],
        model=row["model"],
        messages=tuple(row["messages"]),
        parameters=row["parameters"],
        schema=row["reply_schema"],
        replicate=row["replicate"],
        slots=row["slots"],
        language=row["language"],
        target_language=row["target_language"],
        task_id=row["task_id"],
        prompt_version_id=row["prompt_version_id"],
    )
    same = ("attempts", "raw", "reply_text", "finish_reason", "provider_request_id", "prompt_tokens", "completion_tokens")
    return RequestRecord(
        key=row["key"],
        request=request,
        state=RequestState(row["state"]),
        job_id=row["job_id"],
        reason=row["reason"],
        cost=row["cost"],
        seconds=row["seconds"],
        received_at=row["received_at"],
        **{name: row[name] for name in same},
    )
