from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from core.domain.checks import Nearness
from core.domain.filters import TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.review import Action, Decision
from core.domain.triple import Flag, Texts, Verdict
from core.errors import BadInput, NotFound
from core.storage.database import Database
from core.storage.decisions import DecisionStore
from core.storage.triples import TripleStore
from tests.factories import make_triple, make_triples


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 't.db'}")
    database.migrate()
    return database


@pytest.fixture
def store(database: Database) -> TripleStore:
    return TripleStore(database)


def texts_of(records) -> list[str]:
    return [record.texts.query for record in records]


def test_what_goes_in_comes_out(store: TripleStore):
    triple = make_triple(language="English", target_language="German", topic="plants", slots={"num_words": 50}, source="import")
    flag = Flag("too_short", "The positive is short.", "positive", 0.5)
    store.add([triple], {triple.id: [flag]})
    record = store.get(triple.id)
    assert record.triple.created_at
    assert record.triple == make_triple(
        language="English",
        target_language="German",
        topic="plants",
        slots={"num_words": 50},
        source="import",
        created_at=record.triple.created_at,
    )
    assert record.flags == (flag,)
    assert record.number == 1


def test_known_and_repeated_triples_are_duplicates(store: TripleStore):
    first, second = make_triples(2)
    store.add([first])
    report = store.add([second, first, second])
    assert report.added == [second.id]
    assert report.duplicates == [first.id, second.id]
    assert [store.get(t.id).number for t in (first, second)] == [1, 2]


def test_an_unknown_id_is_not_found(store: TripleStore):
    with pytest.raises(NotFound):
        store.get("nothing")


def test_the_heavier_of_two_flags_with_one_code_and_field_stays(store: TripleStore):
    triple = make_triple()
    store.add(
        [triple], {triple.id: [Flag("a", "heavy", "query", 0.9), Flag("a", "light", "query", 0.1), Flag("a", "other", "positive", 0.2)]}
    )
    assert [(f.message, f.weight) for f in store.get(triple.id).flags] == [("heavy", 0.9), ("other", 0.2)]
    store.set_flags({triple.id: []})
    assert store.get(triple.id).flags == ()
    assert store.count(TripleFilter(suspicious=True)) == 0


@pytest.mark.parametrize("wanted", ["100%", "under_score", "back\\slash", "[glob]", "it's", "两周"])
def test_a_search_takes_its_text_literally(store: TripleStore, wanted: str):
    store.add([make_triple(f"before {wanted} after"), make_triple("1000 underXscore backslash g its 周两")])
    assert texts_of(store.find(TripleFilter(text=wanted))) == [f"before {wanted} after"]


def test_a_search_reads_the_texts_as_they_stand_now(store: TripleStore, database: Database):
    triple = make_triple("old words")
    store.add([triple])
    DecisionStore(database).append([Decision(triple.id, "ann", Action.EDIT, texts=Texts("new words", "p", "n"))])
    assert store.count(TripleFilter(text="old")) == 0
    assert store.count(TripleFilter(text="NEW")) == 1


def test_each_condition_narrows(store: TripleStore, database: Database):
    german = make_triple("eins", language="German", topic="numbers", source="import")
    bitext = make_triple("two", group=TaskGroup.BITEXT, task="Retrieve the translation of the given text.", target_language="German")
    plain = make_triple("three")
    store.add([german, bitext, plain], {plain.id: [Flag("odd", "m", weight=0.5)]})
    DecisionStore(database).append([Decision(plain.id, "ann", Action.REJECT, "because"), Decision(german.id, "ann", Action.FLAG)])
    cases = {
        TripleFilter(groups=(TaskGroup.BITEXT,)): {bitext.id},
        TripleFilter(languages=("German",)): {german.id, bitext.id},
        TripleFilter(topic="numbers"): {german.id},
        TripleFilter(source="import"): {german.id},
        TripleFilter(task_id=bitext.task_id): {bitext.id},
        TripleFilter(verdict=Verdict.REJECTED): {plain.id},
        TripleFilter(reason="because"): {plain.id},
        TripleFilter(reviewer="ann"): {plain.id},
        TripleFilter(flag_code="odd"): {plain.id},
        TripleFilter(suspicious=False): {german.id, bitext.id},
        TripleFilter(flagged=True): {german.id},
        TripleFilter(flagged=False, verdict=Verdict.PENDING): {bitext.id},
    }
    for wanted, ids in cases.items():
        assert set(store.ids(wanted)) == ids, wanted
        assert store.count(wanted) == len(ids)


@pytest.mark.parametrize("order", list(TripleOrder))
def test_stepping_visits_every_triple_once_in_the_order_of_find(store: TripleStore, order: TripleOrder):
    triples = make_triples(23, tasks=5)
    store.add(triples, {t.id: [Flag("x", "m", weight=(i % 4) / 4)] for i, t in enumerate(triples)})
    listed = [r.id for r in store.find(TripleFilter(), order, 100, seed=7)]
    walked = [listed[0]]
    while found := store.neighbour(TripleFilter(), order, walked[-1], seed=7):
        walked.append(found.id)
    assert walked == listed
    assert sorted(listed) == sorted(t.id for t in triples)
    back = store.neighbour(TripleFilter(), order, listed[5], backwards=True, seed=7)
    assert back is not None
    assert back.id == listed[4]
    assert [r.id for r in store.find(TripleFilter(), order, 5, 10, seed=7)] == listed[10:15]


def test_a_seed_gives_an_order_of_its_own(store: TripleStore):
    store.add(make_triples(30))
    orders = {tuple(r.id for r in store.find(TripleFilter(), TripleOrder.RANDOM, 30, seed=seed)) for seed in range(5)}
    assert len(orders) == 5
    again = {tuple(r.id for r in store.find(TripleFilter(), TripleOrder.RANDOM, 30, seed=3)) for _ in range(2)}
    assert len(again) == 1


def test_most_suspicious_come_first_and_ties_by_arrival(store: TripleStore):
    a, b, c = make_triples(3)
    store.add([a, b, c], {b.id: [Flag("x", "m", weight=0.5), Flag("y", "m", weight=0.5)], c.id: [Flag("x", "m", weight=1.0)]})
    assert [r.id for r in store.find(TripleFilter(), TripleOrder.SUSPICIOUS)] == [b.id, c.id, a.id]


def test_counts_by_a_column(store: TripleStore):
    triples = make_triples(5, tasks=2)
    store.add(triples, {triples[0].id: [Flag("x", "m", "query"), Flag("x", "m", "positive")]})
    assert store.counts_by("task") == {triples[0].task: 3, triples[1].task: 2}
    assert store.counts_by("flag_code") == {"x": 1}
    assert [(t.task, t.triples) for t in store.tasks()] == [(triples[0].task, 3), (triples[1].task, 2)]
    with pytest.raises(BadInput):
        store.counts_by("query; drop table triples")


@pytest.mark.slow
def test_twenty_thousand_triples_are_found_counted_and_paged(store: TripleStore):
    triples = make_triples(20_000, tasks=40)
    store.add(triples, {t.id: [Flag("x", "m", weight=0.5)] for t in triples[::10]})
    assert store.count() == 20_000
    assert store.count(TripleFilter(suspicious=True)) == 2_000
    assert store.count(TripleFilter(text="matter 1999")) == 11  # 1999 and 19990 to 19999
    assert [r.number for r in store.find(TripleFilter(), limit=3, offset=19_990)] == [19_991, 19_992, 19_993]
    assert sum(1 for _ in store.each(TripleFilter(flag_code="x"))) == 2_000


def test_the_order_follows_flags_and_cosines_and_an_edit_forgets_the_cosines(store: TripleStore):
    a, b = make_triples(2, group=TaskGroup.STS)
    store.add([a, b])
    store.set_nearness({a.id: Nearness(0.7, 0.7), b.id: Nearness(0.7, -0.3)})  # b's negative is far off: that speaks of a fault
    assert [r.id for r in store.find(TripleFilter(), TripleOrder.SUSPICIOUS)] == [b.id, a.id]
    assert store.get(b.id).nearness == Nearness(0.7, -0.3)
    store.set_flags({a.id: [Flag("truncated", "m", "positive", 0.8)], b.id: []})
    assert [r.id for r in store.find(TripleFilter(), TripleOrder.SUSPICIOUS)] == [a.id, b.id]
    assert store.get(b.id).nearness is None
    with_cosines = dict(store.leading(TripleFilter(), TripleOrder.SUSPICIOUS, 2))
    store.set_nearness({a.id: None})
    assert dict(store.leading(TripleFilter(), TripleOrder.SUSPICIOUS, 2)) == with_cosines  # flags stay
    assert [flag.code for flag in store.get(a.id).flags] == ["truncated"]


def test_the_first_of_some_ids_that_passes(store: TripleStore):
    triples = make_triples(900)  # more than one IN (...) holds
    ids = store.add(triples, {triples[850].id: [Flag("x", "m")]}).added
    assert store.first_of(ids, TripleFilter(flag_code="x")).id == ids[850]
    assert store.first_of(ids[::-1], TripleFilter()).id == ids[899]
    assert store.first_of(ids[:850], TripleFilter(flag_code="x")) is None
    assert store.first_of([], TripleFilter()) is None


def test_the_first_of_some_ids_is_looked_up_by_its_id_and_not_among_all_of_its_verdict(store: TripleStore, database: Database):
    ids, asked = store.add(make_triples(3)).added, []
    event.listen(database._engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    assert store.first_of(ids, TripleFilter(verdict=Verdict.PENDING, not_skipped_by="anna")).id == ids[0]
    statement, values = next(one for one in asked if one[0].startswith("SELECT"))
    with database.reading() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan[0].startswith("SEARCH triples")
    assert "(id=?)" in plan[0]


def test_what_a_reviewer_skipped_is_not_counted(store: TripleStore, database: Database):
    decisions, ids = DecisionStore(database), store.add(make_triples(6, tasks=2)).added
    decisions.append([Decision(i, "anna", Action.SKIP) for i in ids[:3]])
    wanted = TripleFilter(verdict=Verdict.PENDING, not_skipped_by="anna")
    assert store.count(wanted) == len(store.ids(wanted)) == 3
    task = store.get(ids[0]).triple.task_id  # of the first, third and fifth
    assert store.count(replace(wanted, task_id=task)) == len(store.ids(replace(wanted, task_id=task))) == 1
