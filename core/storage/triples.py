"""Triples and the flags of their checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, bindparam, case, delete, func, insert, select, true, update

from core.domain.checks import Nearness
from core.domain.filters import EVERYTHING, TaskCount, TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import Reading, TripleRecord
from core.domain.suspicion import fault_probability
from core.domain.triple import Flag, Triple, Verdict
from core.errors import BadInput, NotFound
from core.storage.database import Database, now
from core.storage.schema import flags as flags_table
from core.storage.schema import prompt_versions, readings, requests, triples
from core.storage.triple_rows import as_it_stands, beyond, conditions, left_out, read_record, sort_keys, triple_values

CHUNK = 400  # values in one IN (...)
COUNTABLE = ("group", "language", "verdict", "reason", "topic", "source", "task", "task_id", "reviewer", "prompt_version_id", "model")
NO_FLAGS: Mapping[str, Sequence[Flag]] = {}
NO_ODDS: Mapping[str, float] = {}
NOT_MEASURED: Mapping[str, Nearness] = {}


@dataclass(frozen=True, slots=True)
class AddReport:
    """Ids in the order given; a triple that was known, or came twice, is a duplicate."""

    added: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TripleOutline:
    """What of a triple can be compared without reading its texts; thousands of them are read at once."""

    id: str
    number: int
    verdict: Verdict
    has_negative: bool
    suspicion: float
    edited: bool


class TripleStore:
    """Triples in, records out. Standings are written by DecisionStore only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, new: Sequence[Triple], flags: Mapping[str, Sequence[Flag]] = NO_FLAGS, odds: Mapping[str, float] = NO_ODDS
    ) -> AddReport:  # fmt: skip
        """Store triples that are not known yet, with their flags by triple id, in one transaction.

        `odds` are probabilities of a fault (core.domain.suspicion) by triple id where they were computed elsewhere.
        """
        report = AddReport()
        with self._database.transaction() as connection:
            known = set(_known_ids(connection, [t.id for t in new]))
            number = connection.execute(select(func.coalesce(func.max(triples.c.number), 0))).scalar_one()
            rows: list[dict[str, Any]] = []
            flag_rows: list[dict[str, Any]] = []
            for triple in new:
                identifier = triple.id
                if identifier in known:
                    report.duplicates.append(identifier)
                    continue
                known.add(identifier)
                report.added.append(identifier)
                number += 1
                stamped = triple if triple.created_at else replace(triple, created_at=now())
                found = _heaviest(flags.get(identifier, ()))
                flag_rows += [{"triple_id": identifier, **asdict(flag)} for flag in found]
                rows.append({**triple_values(stamped), "number": number, **_suspicion(triple, found, probability=odds.get(identifier))})
            for table, values in ((triples, rows), (flags_table, flag_rows)):
                if values:
                    connection.execute(insert(table), values)
        return report

    def set_flags(self, flags_by_triple: Mapping[str, Sequence[Flag]], nearness: Mapping[str, Nearness] = NOT_MEASURED) -> None:
        """Replace all flags of these triples, and their cosines (those not given are no longer known), for example after an edit."""
        with self._database.transaction() as connection:
            for chunk in chunks(list(flags_by_triple)):
                found = {i: _heaviest(flags_by_triple[i]) for i in chunk}
                connection.execute(delete(flags_table).where(flags_table.c.triple_id.in_(chunk)))
                if rows := [{"triple_id": i, **asdict(flag)} for i in chunk for flag in found[i]]:
                    connection.execute(insert(flags_table), rows)
                _weigh(connection, found, nearness)

    def set_nearness(self, nearness: Mapping[str, Nearness | None]) -> None:
        """Note the cosines of triples as their texts stand (None: not measured), and how likely a fault is with them; flags stay."""
        with self._database.transaction() as connection:
            for chunk in chunks(list(nearness)):
                _weigh(connection, _flags_of(connection, chunk), nearness)

    def get(self, triple_id: str) -> TripleRecord:
        """One record.

        Raises:
            NotFound: no triple has this id.
        """
        found = self.get_many([triple_id])
        if not found:
            raise NotFound(f"There is no triple {triple_id}.", hint="Search for its text on the Dataset page.")
        return found[0]

    def get_many(self, ids: Iterable[str]) -> list[TripleRecord]:
        """Records of these ids that exist, in the order asked."""
        wanted = list(ids)
        rows: list[Any] = []
        with self._database.reading() as connection:
            for chunk in chunks(wanted):
                rows += connection.execute(select(triples).where(triples.c.id.in_(chunk))).mappings()
            records = {record.id: record for record in self._with_flags(connection, rows)}
        return [records[i] for i in wanted if i in records]

    def outlines(self, ids: Iterable[str]) -> list[TripleOutline]:
        """Outlines of those of these triples that exist, in no order."""
        c = triples.c
        columns = (c.id, c.number, c.verdict, as_it_stands("negative").is_not(None), c.suspicion, c.edited_texts.is_not(None))
        with self._database.reading() as connection:
            rows = [row for chunk in chunks(list(ids)) for row in connection.execute(select(*columns).where(c.id.in_(chunk)))]
        return [TripleOutline(i, n, Verdict(verdict), bool(full), weight, bool(edited)) for i, n, verdict, full, weight, edited in rows]

    def find(
        self,
        wanted: TripleFilter = EVERYTHING,
        order: TripleOrder = TripleOrder.OLDEST,
        limit: int = 50,
        offset: int = 0,
        *,
        backwards: bool = False,
        seed: int = 0,
    ) -> list[TripleRecord]:
        """One page of the records that pass, in an order or from its end; `seed` matters to the random one only."""
        query = _ordered(select(triples.c.id).where(*self._passing(wanted)), order, seed, backwards=backwards).limit(limit).offset(offset)
        with self._database.reading() as connection:
            ids = connection.execute(query).scalars().all()  # alone: sorting 100,000 ids takes a tenth of sorting their rows
        return self.get_many(ids)

    def neighbour(
        self, wanted: TripleFilter, order: TripleOrder, at: str, *, backwards: bool = False, seed: int = 0
    ) -> TripleRecord | None:
        """The record after (or before) the triple `at` in an order, whether or not `at` itself passes the filter."""
        keys = sort_keys(order, seed)
        with self._database.reading() as connection:
            values = connection.execute(select(*(column for column, _ in keys)).where(triples.c.id == at)).first()
            if values is None:
                return None
            query = select(triples).where(*self._passing(wanted), beyond(keys, list(values), backwards=backwards))
            row = connection.execute(_ordered(query, order, seed, backwards=backwards).limit(1)).mappings().first()
            return self._with_flags(connection, [row])[0] if row else None

    def leading(self, wanted: TripleFilter, order: TripleOrder, limit: int) -> list[tuple[str, float]]:
        """Id and probability of a fault of the first triples that pass; their texts are not read."""
        c = triples.c
        query = _ordered(select(c.id, c.fault_probability).where(*self._passing(wanted)), order, 0).limit(limit)
        with self._database.reading() as connection:
            return [(identifier, chance) for identifier, chance in connection.execute(query)]

    def first_of(self, ids: Sequence[str], wanted: TripleFilter) -> TripleRecord | None:
        """The first of these ids, in the order given, whose triple passes."""
        for chunk in chunks(ids):
            with self._database.reading() as connection:
                # Inside a CASE the filter offers no index: SQLite would read all rows of a verdict rather than look these ids up.
                passes = case((and_(true(), *self._passing(wanted)), 1), else_=0) == 1
                passing = set(connection.execute(select(triples.c.id).where(triples.c.id.in_(chunk), passes)).scalars())
            if first := next((i for i in chunk if i in passing), None):
                return self.get(first)
        return None

    def each(self, wanted: TripleFilter = EVERYTHING, *, page: int = 1000) -> Iterator[TripleRecord]:
        """All records that pass, oldest first, read page by page."""
        last = 0
        while True:
            query = select(triples).where(*self._passing(wanted), triples.c.number > last).order_by(triples.c.number).limit(page)
            with self._database.reading() as connection:
                records = self._with_flags(connection, list(connection.execute(query).mappings()))
            yield from records
            if len(records) < page:
                return
            last = records[-1].number

    def ids(self, wanted: TripleFilter = EVERYTHING) -> list[str]:
        """Ids of all that pass, oldest first."""
        with self._database.reading() as connection:
            # Sorted here: an index in this order would be read to its end, with a look at every row.
            found = connection.execute(select(triples.c.number, triples.c.id).where(*self._passing(wanted))).tuples().all()
        return [identifier for _, identifier in sorted(found)]

    def count(self, wanted: TripleFilter = EVERYTHING) -> int:
        """How many pass."""
        passing = self._passing(replace(wanted, not_skipped_by=None, open_to=None))
        every = select(func.count()).select_from(triples).where(*passing)
        ids = left_out(wanted)
        with self._database.reading() as connection:
            number = connection.execute(every).scalar_one()
            if ids is None:
                return number
            # Looking every row up among the few that are left out would take ten times as long; these are found by their ids.
            few = select(func.coalesce(func.sum(case((and_(true(), *passing), 1), else_=0)), 0)).where(triples.c.id.in_(ids))
            return number - int(connection.execute(few).scalar_one())

    def counts_by(self, column: str, wanted: TripleFilter = EVERYTHING) -> dict[str, int]:
        """How many pass for each value of a column (or of "flag_code"), most frequent first; None counts as ""."""
        if column == "flag_code":
            value: Any = flags_table.c.code
            source = flags_table.join(triples, flags_table.c.triple_id == triples.c.id)
            number: Any = func.count(func.distinct(triples.c.id))
        elif column in COUNTABLE:
            value, source, number = func.coalesce(triples.c[column], ""), triples, func.count()  # type: ignore[assignment]
        else:
            raise BadInput(f"Triples cannot be counted by {column!r}.", hint=f"Use one of {', '.join(COUNTABLE)}, flag_code.")
        query = select(value, number).select_from(source).where(*self._passing(wanted)).group_by(value).order_by(number.desc(), value)
        with self._database.reading() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(query)}

    def sharing_words(self, words: Sequence[str], language: str, limit: int) -> list[TripleRecord]:
        """Records of a language whose query and positive, as written, hold the most of a few words; ties by order of arrival."""
        c = triples.c
        both = c.query + " " + c.positive
        shared: Any = sum(case((both.contains(word, autoescape=True), 1), else_=0) for word in words)
        query = select(c.id).where(c.language == language).order_by(shared.desc(), c.number).limit(limit)
        with self._database.reading() as connection:
            ids = connection.execute(query).scalars().all()
        return self.get_many(ids)

    def decided(self, verdict: Verdict) -> list[tuple[str, str, str]]:
        """(id, task id, time) of all triples with a verdict, in the order it was given."""
        c = triples.c
        query = select(c.id, c.task_id, c.decided_at).where(c.verdict == verdict.value).order_by(c.decided_at, c.number)
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(query).tuples()]

    def tasks(self, wanted: TripleFilter = EVERYTHING) -> list[TaskCount]:
        """Tasks of the triples that pass, most triples first."""
        c, number = triples.c, func.count()
        query = select(c.task_id, c.group, func.min(c.task), number).where(*self._passing(wanted)).group_by(c.task_id, c.group)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(number.desc(), c.task_id)).tuples().all()
        return [TaskCount(i, TaskGroup(group), task, count) for i, group, task, count in rows]

    def origin(self, triple_id: str) -> dict[str, Any]:
        """Prompt version and request a triple came from; both None where a person or a file gave it."""
        row = triples.alias()
        version_query = select(prompt_versions).join(row, row.c.prompt_version_id == prompt_versions.c.id).where(row.c.id == triple_id)
        request_query = select(requests).join(row, row.c.request_key == requests.c.key).where(row.c.id == triple_id)
        with self._database.reading() as connection:
            version = connection.execute(version_query).mappings().first()
            request = connection.execute(request_query).mappings().first()
        return {"prompt_version": dict(version) if version else None, "request": dict(request) if request else None}

    def _passing(self, wanted: TripleFilter) -> list[ColumnElement[bool]]:
        return conditions(wanted, by_grams=bool(wanted.text) and self._database.has_grams)

    def _with_flags(self, connection: Connection, rows: Sequence[RowMapping]) -> list[TripleRecord]:
        found: dict[str, list[Flag]] = {}
        for chunk in chunks([row["id"] for row in rows]):
            found |= _flags_of(connection, chunk)
        read = _readings(connection, [row["id"] for row in rows])
        return [read_record(row, tuple(found.get(row["id"], ())), tuple(read.get(row["id"], ()))) for row in rows]


def _readings(connection: Connection, ids: Sequence[str]) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = {}
    for chunk in chunks(ids):
        query = select(readings).where(readings.c.triple_id.in_(chunk)).order_by(readings.c.position)
        for row in connection.execute(query):
            found.setdefault(row.triple_id, []).append(Reading(row.reviewer, Verdict(row.verdict), row.reason, row.decided_at))
    return found


def _flags_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Flag]]:
    """Flags of at most CHUNK triples, the heaviest first; every id has its list."""
    found: dict[str, list[Flag]] = {i: [] for i in ids}
    c = flags_table.c
    query = select(flags_table).where(c.triple_id.in_(ids)).order_by(c.weight.desc(), c.code, c.field)
    for row in connection.execute(query).mappings():
        found[row["triple_id"]].append(Flag(row["code"], row["message"], row["field"], row["weight"]))
    return found


def _weigh(connection: Connection, flags: Mapping[str, Sequence[Flag]], nearness: Mapping[str, Nearness | None]) -> None:
    """Write what the review queue sorts by, of at most CHUNK triples with these flags."""
    rows = connection.execute(select(triples).where(triples.c.id.in_(list(flags)))).mappings().all()
    values = []
    for record in (read_record(row, ()) for row in rows):
        now_written, near = record.triple.with_texts(record.texts), nearness.get(record.id)
        values.append({"of_triple": record.id, **_suspicion(now_written, flags[record.id], near)})
    if values:
        connection.execute(update(triples).where(triples.c.id == bindparam("of_triple")), values)


def _suspicion(
    triple: Triple, found: Sequence[Flag], near: Nearness | None = None, *, probability: float | None = None
) -> dict[str, float | None]:  # fmt: skip
    """Column values that follow from the checks. `triple` holds the texts as they stand."""
    return {
        "suspicion": sum(flag.weight for flag in found),
        "nearness_positive": near.positive if near else None,
        "nearness_negative": near.negative if near else None,
        "fault_probability": fault_probability(triple, found, near) if probability is None else probability,
    }


def _heaviest(found: Sequence[Flag]) -> list[Flag]:
    """One flag for each code and field: of two the heavier."""
    return list({(flag.code, flag.field): flag for flag in sorted(found, key=lambda f: f.weight)}.values())


def _ordered(query: Select[Any], order: TripleOrder, seed: int, *, backwards: bool = False) -> Select[Any]:
    return query.order_by(*(column.desc() if descending != backwards else column.asc() for column, descending in sort_keys(order, seed)))


def _known_ids(connection: Connection, ids: Sequence[str]) -> Iterator[str]:
    for chunk in chunks(ids):
        yield from connection.execute(select(triples.c.id).where(triples.c.id.in_(chunk))).scalars()


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many ids at once as one IN (...) is given."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
