"""The ledger of requests: planned -> sent -> received -> parsed | failed. A reply is committed before anything reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, RowMapping, bindparam, case, func, insert, or_, select, update

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.domain.request import NOTHING, Amount, PlannedRequest, RequestRecord, RequestState, RequestTally
from core.errors import NotFound
from core.storage.database import Database, now
from core.storage.schema import requests

Number = TypeVar("Number", int, float)
KEYS_A_QUERY = 500  # SQLite allows 32,766 variables a statement; small slices keep memory flat
CUT_OFF_REASON = "length"
MOST_OF_AN_ERROR = 100_000  # characters
NEWEST_REPLIES = 40  # whose times the rate is computed from
# Never answered: planned, sent and lost in a crash, or failed without a reply. A failed request that has a reply was paid and is kept.
# One that left in a batch is with the provider, whatever becomes of our process: core.storage.batches says when it is back.
MISSING = or_(
    requests.c.state == RequestState.PLANNED.value,
    (requests.c.state == RequestState.SENT.value) & requests.c.batch_id.is_(None),
    (requests.c.state == RequestState.FAILED.value) & requests.c.raw.is_(None),
)
SENT = RequestState.SENT.value
UNSENT_OR_LOST = case((requests.c.state == SENT, SENT), else_=RequestState.PLANNED.value)
CUT_OFF = (requests.c.state == RequestState.FAILED.value) & (requests.c.reason == CUT_OFF_REASON) & requests.c.repeated_cap.is_(None)


@dataclass(frozen=True, slots=True)
class Leaving:
    """A request that leaves; with `cap`, as the repeat of one whose reply was cut off, with room for so many tokens."""

    key: str
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A reply to keep. `cost` in US dollars, None where it is unknown; `first` is the record as it was before a repeat.

    `worst` is what a reply that cannot be counted may have cost.
    """

    key: str
    reply: ChatReply
    cost: float | None
    first: RequestRecord | None = None
    worst: Amount = NOTHING


class Ledger:
    """Requests in, records out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, planned: Sequence[PlannedRequest], job_id: str, *, busy: Collection[str] = ()) -> int:
        """Store requests before any is sent, in one transaction; returns how many are to be sent.

        A key that was answered before stays as it is, with the job that paid for it. One that was never answered moves to this job, as
        sent where it was sent: it may have been paid. So does one whose reply a kill left unread: it is read here, for nothing. What
        belongs to one of the `busy` jobs stays with it.
        """
        unique = {request.key: request for request in planned}
        new = 0
        with self._database.transaction() as connection:
            for keys in _slices(list(unique)):
                known = set(connection.scalars(select(requests.c.key).where(requests.c.key.in_(keys))))
                free = update(requests).where(requests.c.key.in_(keys), requests.c.job_id.not_in(busy)).values(job_id=job_id)
                connection.execute(free.where(requests.c.state == RequestState.RECEIVED.value))
                # Attempts of an earlier job are its own, but for one that was lost with it and is counted from now on.
                own = case((requests.c.job_id == job_id, requests.c.attempts), (requests.c.state == SENT, 1), else_=0)
                new += connection.execute(free.where(MISSING).values(state=UNSENT_OR_LOST, reason="", attempts=own)).rowcount
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

    def has_to_send(self, job_id: str) -> bool:
        """Whether a request of a job has no reply."""
        with self._database.reading() as connection:
            return connection.scalar(select(requests.c.key).where(requests.c.job_id == job_id, MISSING).limit(1)) is not None

    def to_send(self, job_id: str) -> list[RequestRecord]:
        """Requests of a job without a reply, the oldest plan first."""
        return self._find(requests.c.job_id == job_id, MISSING)

    def to_read(self, job_id: str) -> list[RequestRecord]:
        """Requests whose reply was stored and not yet read: a kill fell between the two. Reading them again is free."""
        return self._find(requests.c.job_id == job_id, requests.c.state == RequestState.RECEIVED.value)

    def in_batch(self, batch_id: str) -> list[RequestRecord]:
        """Requests that are away in this batch."""
        return self._find(requests.c.batch_id == batch_id, requests.c.state == RequestState.SENT.value)

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

    def truncated(self, job_id: str) -> list[RequestRecord]:
        """Requests whose reply was cut off at the token limit and that were not repeated yet."""
        return self._find(requests.c.job_id == job_id, CUT_OFF)

    def together(self) -> AbstractContextManager[None]:
        """Everything written and read by this thread inside the block is one transaction."""
        return self._database.together()

    def mark_sent(self, key: str, job_id: str) -> bool:
        """One request leaves now; see `mark_all_sent`."""
        return bool(self.mark_all_sent([Leaving(key)], job_id))

    def mark_all_sent(self, leaving: Sequence[Leaving], job_id: str) -> set[str]:
        """The requests leave now: from here on they may be paid. Returns the keys of those that may.

        The others were taken over by another job and must not be sent here.
        """
        claimed: set[str] = set()
        caps: dict[int | None, list[str]] = {}
        for one in leaving:
            caps.setdefault(one.cap, []).append(one.key)
        values = {"state": RequestState.SENT.value, "sent_at": now(), "attempts": requests.c.attempts + 1, "batch_id": None}
        with self._database.transaction() as connection:
            for cap, all_keys in caps.items():
                may, more = (MISSING, {}) if cap is None else (or_(CUT_OFF, MISSING), {"repeated_cap": cap})
                for keys in _slices(all_keys):
                    mine = update(requests).where(requests.c.key.in_(keys), requests.c.job_id == job_id, may)
                    claimed |= set(connection.scalars(mine.values(**values, **more).returning(requests.c.key)))
        return claimed

    def mark_not_sent(self, key: str, *, repeat: bool) -> None:
        """A request that was to leave did not: it is as it was before. `repeat`: it was the repeat of a reply that was cut off."""
        cut_off = {"state": RequestState.FAILED.value, "reason": CUT_OFF_REASON, "repeated_cap": None}
        self._set(key, {**(cut_off if repeat else {"state": RequestState.PLANNED.value}), "attempts": requests.c.attempts - 1})

    def mark_received(self, key: str, reply: ChatReply, cost: float | None) -> None:
        """Keep one reply; see `mark_all_received`."""
        self.mark_all_received([Received(key, reply, cost)])

    def mark_all_received(self, received: Sequence[Received]) -> None:
        """Keep the replies whole."""
        rows = [_reply_row(one) for one in received]
        c = requests.c
        more = {"maybe_cost": c.maybe_cost + bindparam("more_cost"), "maybe_tokens": c.maybe_tokens + bindparam("more_tokens")}
        statement = update(requests).where(c.key == bindparam("the_key")).values(**more)
        if rows:
            with self._database.transaction() as connection:
                connection.execute(statement, rows)

    def with_others(self, keys: Sequence[str], jobs: Collection[str]) -> dict[str, int]:
        """How many of these requests, unanswered still, each of these jobs is to send."""
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for some in _slices(list(keys) if jobs else []):
                mine = requests.c.key.in_(some), MISSING, requests.c.job_id.in_(jobs)
                for job, count in connection.execute(select(requests.c.job_id, func.count()).where(*mine).group_by(requests.c.job_id)):
                    found[job] = found.get(job, 0) + count
        return found

    def mark_maybe_paid(self, key: str, worst: Amount, *, state: RequestState | None = None) -> None:
        """An attempt brought no answer and was maybe billed: count its worst case; with `state`, move the request to it."""
        maybe = {"maybe_cost": requests.c.maybe_cost + worst.money, "maybe_tokens": requests.c.maybe_tokens + worst.tokens}
        self._set(key, {**maybe, **({"state": state.value} if state else {})})

    def mark_parsed(self, key: str) -> None:
        """The reply was used."""
        self.mark_all_read([(key, "")])

    def mark_failed(
        self, key: str, reason: str, *, error_body: str | None = None, job_id: str | None = None, repeat_later: bool = False
    ) -> None:  # fmt: skip
        """The request brought nothing; `reason` is a short code, `error_body` an answer that is no reply of the protocol.

        Of such an answer, which may be anything, the first MOST_OF_AN_ERROR characters are kept.
        With `job_id`, nothing is written where another job has taken the request over. `repeat_later`: it was the repeat of a reply
        that was cut off, and passing trouble does not use it up.
        """
        more: dict[str, object] = {"error_body": _bounded(error_body)} if error_body else {}
        if repeat_later:
            more["repeated_cap"] = None
        self._set(key, {"state": RequestState.FAILED.value, "reason": reason, **more}, job_id)

    def mark_all_read(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """What became of replies: (key, reason) pairs; an empty reason means that the reply was used."""
        states = {True: RequestState.FAILED.value, False: RequestState.PARSED.value}
        rows = [{"the_key": key, "the_reason": reason, "the_state": states[reason != ""]} for key, reason in outcomes]
        statement = update(requests).where(requests.c.key == bindparam("the_key"))
        if rows:
            with self._database.transaction() as connection:
                connection.execute(statement.values(state=bindparam("the_state"), reason=bindparam("the_reason")), rows)

    def tally(self, job_id: str) -> RequestTally:
        """Counts of a job's requests for its live view."""
        c, mine = requests.c, requests.c.job_id == job_id
        by_state: dict[RequestState, int] = {}
        by_group: dict[TaskGroup, dict[RequestState, int]] = {}
        paid = (c.raw.is_not(None), func.count(c.cost), func.coalesce(func.sum(c.cost), 0.0))
        sums = tuple(func.coalesce(func.sum(column), 0) for column in (c.prompt_tokens, c.completion_tokens, c.attempts, c.maybe_tokens))
        repeats = (func.count(c.repeated_cap), func.count(case((c.state == RequestState.PARSED.value, c.repeated_cap))))
        with self._database.reading() as connection:
            for group, state, count in connection.execute(select(c.group, c.state, func.count()).where(mine).group_by(c.group, c.state)):
                by_state[RequestState(state)] = by_state.get(RequestState(state), 0) + count
                by_group.setdefault(TaskGroup(group), {})[RequestState(state)] = count
            failed = select(c.reason, func.count()).where(mine, c.state == RequestState.FAILED.value).group_by(c.reason)
            reasons = {str(row[0]): int(row[1]) for row in connection.execute(failed)}
            received, priced, money, maybe, repeated, repeated_parsed, *summed = connection.execute(
                select(
                    func.coalesce(func.sum(case((paid[0], 1), else_=0)), 0),
                    *paid[1:],
                    func.coalesce(func.sum(c.maybe_cost), 0.0),
                    *repeats,
                    *sums,
                ).where(mine)
            ).one()
            times = connection.scalars(
                select(c.received_at).where(mine, c.received_at.is_not(None)).order_by(c.received_at.desc()).limit(NEWEST_REPLIES)
            )
            newest = tuple(sorted(times))
        cost = money if received == priced else None
        prompt_tokens, completion_tokens, attempts, maybe_tokens = (int(value) for value in summed)
        return RequestTally(
            by_state=by_state,
            by_group=by_group,
            reasons=reasons,
            cost=cost,
            known_cost=money,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            attempts=attempts,
            received=int(received),
            maybe=Amount(maybe_tokens, maybe),
            repeated=repeated,
            repeated_parsed=repeated_parsed,
            received_times=newest,
        )

    def typical(self, base_url: str, model: str, group: TaskGroup, step: PromptStep) -> tuple[int, float | None, float | None]:
        """What past replies of this model to such a prompt were like: (how many, mean completion tokens, mean seconds)."""
        c = requests.c
        alone = case((c.batch_id.is_(None), c.seconds))  # a reply of a batch has no time of its own
        query = select(func.count(), func.avg(c.completion_tokens), func.avg(alone)).where(
            c.base_url == base_url, c.model == model, c.group == group.value, c.step == step.value, c.raw.is_not(None)
        )
        with self._database.reading() as connection:
            count, tokens, seconds = connection.execute(query).one()
        return count, tokens, seconds

    def _find(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[RequestRecord]:
        newest_first = (requests.c.sent_at.desc(), requests.c.key)
        order = newest_first if limit is not None else (requests.c.planned_at, requests.c.key)
        query = select(requests).where(*conditions).order_by(*order).limit(limit)
        with self._database.reading() as connection:
            return [_record_of(row) for row in connection.execute(query).mappings()]

    def _set(self, key: str, columns: Mapping[str, object], job_id: str | None = None) -> None:
        mine = (requests.c.key == key,) if job_id is None else (requests.c.key == key, requests.c.job_id == job_id)
        with self._database.transaction() as connection:
            connection.execute(update(requests).where(*mine).values(**columns))


def _bounded(text: str) -> str:
    if len(text) <= MOST_OF_AN_ERROR:
        return text
    return f"{text[:MOST_OF_AN_ERROR]}\n… cut here: {len(text):,} characters came"


def _slices(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), KEYS_A_QUERY):
        yield keys[start : start + KEYS_A_QUERY]


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


def _reply_row(received: Received) -> dict[str, object]:
    reply, first = received.reply, received.first
    prompt_tokens, completion_tokens, cost, first_reply = reply.prompt_tokens, reply.completion_tokens, received.cost, None
    if first is not None and first.raw is not None:
        paid = {"prompt_tokens": first.prompt_tokens, "completion_tokens": first.completion_tokens, "cost": first.cost}
        first_reply = {"raw": first.raw, "finish_reason": first.finish_reason, "request_id": first.provider_request_id, **paid}
        prompt_tokens, completion_tokens = _both(first.prompt_tokens, prompt_tokens), _both(first.completion_tokens, completion_tokens)
        cost = _both(first.cost, cost)  # what of it is unknown counts as maybe paid
    return {
        "the_key": received.key,
        "state": RequestState.RECEIVED.value,
        "raw": reply.raw or reply.text,
        "reply_text": reply.text,
        "finish_reason": reply.finish_reason,
        "provider_request_id": reply.request_id,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "cost": cost,
        "seconds": reply.seconds,
        "received_at": now(),
        "first_reply": first_reply,
        "more_cost": received.worst.money,
        "more_tokens": received.worst.tokens,
    }


def _both(first: Number | None, second: Number | None) -> Number | None:
    return second if first is None else first if second is None else first + second


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
    reply = ("raw", "reply_text", "finish_reason", "provider_request_id", "prompt_tokens", "completion_tokens")
    same = (*reply, "attempts", "repeated_cap", "first_reply", "error_body")
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
