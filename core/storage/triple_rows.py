"""Triples as rows: one mapping and one reading of TripleFilter, shared by the stores of triples and decisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    RowMapping,
    Select,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    union,
)

from core.domain.checks import Nearness
from core.domain.filters import TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.people import Seat
from core.domain.review import Action, Reading, Standing, TripleRecord
from core.domain.triple import Flag, Texts, Triple, Verdict
from core.storage.gram_index import may_hold
from core.storage.schema import decisions, flags, leases, readings, triples

LIKE_ESCAPE = "\\"
PRIME = 4_294_967_291  # largest below 2^32: number -> (a * number + b) mod PRIME scatters the rows, and a seed chooses a and b


def triple_values(triple: Triple) -> dict[str, Any]:
    """Column values of a triple as written."""
    return {
        "id": triple.id,
        "group": triple.group.value,
        "task_id": triple.task_id,
        "task": triple.task,
        "topic": triple.topic,
        "language": triple.language,
        "target_language": triple.target_language,
        "slots": dict(triple.slots),
        "query": triple.texts.query,
        "positive": triple.texts.positive,
        "negative": triple.texts.negative,
        "source": triple.source,
        "model": triple.model,
        "prompt_version_id": triple.prompt_version_id,
        "request_key": triple.request_key,
        "created_at": triple.created_at,
    }


def standing_values(standing: Standing) -> dict[str, Any]:
    """Column values of what holds of a triple now."""
    return {
        "verdict": standing.verdict.value,
        "reason": standing.reason,
        "reviewer": standing.reviewer,
        "decided_at": standing.decided_at,
        "flagged": standing.flagged,
        "skipped_by": list(standing.skipped_by),
        "edited_texts": asdict(standing.texts) if standing.texts else None,
    }


def read_record(row: RowMapping, found: tuple[Flag, ...], read_by: tuple[Reading, ...] = ()) -> TripleRecord:
    """Inverse of the two above."""
    triple = Triple(
        group=TaskGroup(row["group"]),
        task=row["task"],
        texts=Texts(row["query"], row["positive"], row["negative"]),
        **{name: row[name] for name in ("language", "target_language", "topic", "slots", "source", "model")},
        **{name: row[name] for name in ("prompt_version_id", "request_key", "created_at")},
    )
    standing = Standing(
        verdict=Verdict(row["verdict"]),
        texts=Texts(**row["edited_texts"]) if row["edited_texts"] else None,
        reason=row["reason"],
        reviewer=row["reviewer"],
        flagged=bool(row["flagged"]),
        skipped_by=tuple(row["skipped_by"]),
        decided_at=row["decided_at"],
        readings=read_by,
    )
    near = row["nearness_positive"]
    return TripleRecord(triple, row["number"], standing, found, None if near is None else Nearness(near, row["nearness_negative"]))


def conditions(wanted: TripleFilter, *, by_grams: bool = False) -> list[ColumnElement[bool]]:
    """The filter as SQL; all of them must hold. `by_grams`: the database keeps the index of texts, which narrows them first."""
    c = triples.c
    exact = {
        c.task_id: wanted.task_id,
        c.topic: wanted.topic,
        c.verdict: wanted.verdict.value if wanted.verdict else None,
        c.reason: wanted.reason,
        c.source: wanted.source,
        c.prompt_version_id: wanted.prompt_version_id,
        c.reviewer: wanted.reviewer,
    }
    found: list[ColumnElement[bool]] = [column == value for column, value in exact.items() if value]
    if wanted.groups:
        found.append(c.group.in_([g.value for g in wanted.groups]))
    if wanted.languages:
        found.append(or_(c.language.in_(wanted.languages), c.target_language.in_(wanted.languages)))
    if wanted.flagged is not None:
        found.append(c.flagged.is_(wanted.flagged))
    if wanted.suspicious is not None:
        found.append(c.suspicion > 0 if wanted.suspicious else c.suspicion == 0)
    if wanted.without_negative is not None:
        found.append(as_it_stands("negative").is_(None) if wanted.without_negative else as_it_stands("negative").is_not(None))
    found += _in_range(wanted)
    found += _as_the_desk_asks(wanted)
    if wanted.flag_code:
        found.append(c.id.in_(select(flags.c.triple_id).where(flags.c.code == wanted.flag_code)))
    if (ids := left_out(wanted)) is not None:
        found.append(c.id.not_in(ids))  # one look a row
    if sought := wanted.text.strip():
        found += _holding(sought, by_grams=by_grams)
    return found


def _in_range(wanted: TripleFilter) -> list[ColumnElement[bool]]:
    c = triples.c
    day = func.substr(case((c.decided_at != "", c.decided_at), else_=c.created_at), 1, len("YYYY-MM-DD"))
    bounds = (
        (wanted.least_suspicion, c.suspicion.__ge__),
        (wanted.most_suspicion, c.suspicion.__le__),
        (wanted.since or None, day.__ge__),
        (wanted.until or None, day.__le__),
    )
    return [compare(value) for value, compare in bounds if value is not None]


def _as_the_desk_asks(wanted: TripleFilter) -> list[ColumnElement[bool]]:
    c, d = triples.c, decisions.c
    found: list[ColumnElement[bool]] = []
    if wanted.without_prompt is not None:
        found.append(c.prompt_version_id.is_(None) if wanted.without_prompt else c.prompt_version_id.is_not(None))
    if wanted.singly is not None:
        deciding = exists().where(d.triple_id == c.id, d.reviewer == c.reviewer, d.created_at == c.decided_at, d.batch_id.is_(None))
        found.append(deciding if wanted.singly else not_(deciding))
    if wanted.not_among:
        found.append(c.id.not_in(wanted.not_among))
    return found


def as_it_stands(name: str) -> ColumnElement[Any]:
    """The query, positive or negative after edits."""
    c = triples.c
    return case((c.edited_texts.is_not(None), c.edited_texts[name].as_string()), else_=c[name])


def left_out(wanted: TripleFilter) -> CompoundSelect[Any] | None:
    """Ids a queue passes over because of what its reviewer, or another one, did or holds: few beside what it holds."""
    skipped = [_skipped_by(wanted.not_skipped_by)] if wanted.not_skipped_by else []
    ids = skipped + (_not_open_to(wanted.open_to) if wanted.open_to else [])
    return union(*ids) if ids else None


def _holding(text: str, *, by_grams: bool) -> list[ColumnElement[bool]]:
    near = may_hold(text) if by_grams else None
    return [_contains(text)] if near is None else [near, _contains(text)]


def _contains(text: str) -> ColumnElement[bool]:
    escaped = text.replace(LIKE_ESCAPE, LIKE_ESCAPE * 2).replace("%", LIKE_ESCAPE + "%").replace("_", LIKE_ESCAPE + "_")
    now = [as_it_stands(name) for name in ("query", "positive", "negative")]
    # SQLite's LIKE ignores the case of Latin letters by itself; ilike would fold every text first, which takes twice as long.
    return or_(*(column.like(f"%{escaped}%", escape=LIKE_ESCAPE) for column in (*now, triples.c.task)))


def _skipped_by(reviewer: str) -> Select[Any]:
    return select(decisions.c.triple_id).where(
        decisions.c.reviewer == reviewer, decisions.c.action == Action.SKIP.value, decisions.c.id.not_in(taken_back_by(reviewer))
    )


def taken_back_by(reviewer: str) -> Select[Any]:
    """Ids of the entries a reviewer undid: one's own, as nobody else can take them back."""
    return select(decisions.c.undoes).where(decisions.c.reviewer == reviewer, decisions.c.undoes.is_not(None))


def _not_open_to(seat: Seat) -> list[Select[Any]]:
    """Cards that other windows hold, or that this reviewer has read as one of several; one that several read has several places.

    Where fewer readers are asked for now than when it was read, all readings may be there and give no verdict: then it is open to its
    readers again, one at a time. ReviewTeam.hold counts the places in the same way.
    """
    limit, c, r = seat.rules.overlap_limit, leases.c, readings.c
    others = readings.alias()
    enough = select(func.count()).where(others.c.triple_id == r.triple_id).scalar_subquery() >= seat.rules.readers
    read = select(r.triple_id).where(r.reviewer == seat.reviewer, r.triple_id < limit, not_(enough))
    elsewhere = (c.expires_at > seat.at, c.holder != seat.holder)
    held = select(c.triple_id).where(*elsewhere, or_(c.reviewer == seat.reviewer, c.triple_id >= limit))
    given = select(func.count()).where(r.triple_id == c.triple_id).scalar_subquery()
    done = exists().where(r.triple_id == c.triple_id, r.reviewer == c.reviewer)  # looks at it again: needs no place
    full = select(c.triple_id).where(*elsewhere, c.triple_id < limit, c.reviewer != seat.reviewer)
    full = full.where(or_(not_(done), given >= seat.rules.readers)).group_by(c.triple_id)
    return [read, held, full.having(func.count() + given >= seat.rules.readers)]


def sort_keys(order: TripleOrder, seed: int = 0) -> list[tuple[ColumnElement[Any], bool]]:
    """(column, descending) pairs; the last one is unique, so the order is total."""
    c = triples.c
    if order is TripleOrder.RANDOM:
        multiplier, offset = 2_654_435_761 + 2_246_822_519 * seed, 3_266_489_917 * (seed + 1)
        scattered = (cast(c.number, BigInteger) * (multiplier % PRIME or 1) + offset % PRIME) % PRIME
        return [(scattered, False), (c.number, False)]
    by: dict[TripleOrder, list[tuple[ColumnElement[Any], bool]]] = {
        TripleOrder.SUSPICIOUS: [(c.fault_probability, True)],
        TripleOrder.GROUP: [(c.group, False)],
        TripleOrder.TASK: [(c.task, False)],
        TripleOrder.LANGUAGE: [(c.language, False)],
        TripleOrder.PROMPT: [(func.coalesce(c.prompt_version_id, ""), False)],
    }
    return [*by.get(order, []), (c.number, order is TripleOrder.NEWEST)]


def beyond(keys: list[tuple[ColumnElement[Any], bool]], values: list[Any], *, backwards: bool = False) -> ColumnElement[bool]:
    """Rows after (or before) the row with these key values: paging that does not count rows.

    The first key bounds all of them too, which lets an index start at the right place.
    """
    steps: list[ColumnElement[bool]] = []
    for i, ((column, descending), value) in enumerate(zip(keys, values, strict=True)):
        same = [k == v for (k, _), v in zip(keys[:i], values[:i], strict=True)]
        steps.append(and_(*same, column < value if descending != backwards else column > value))
    (first, descending), value = keys[0], values[0]
    bound = first <= value if descending != backwards else first >= value
    return and_(bound, or_(false(), *steps))
