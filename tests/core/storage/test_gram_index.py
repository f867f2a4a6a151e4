"""A search by the index finds what a search of every row finds, whatever was written or edited, and whichever SQLite was at work."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.filters import TripleFilter, TripleOrder
from core.domain.review import Action, Decision
from core.domain.triple import Texts
from core.storage.database import Database
from core.storage.decisions import DecisionStore
from core.storage.gram_index import kept, may_hold, supported
from core.storage.triples import TripleStore
from tests.factories import make_triple, make_triples

pytestmark = pytest.mark.skipif(not supported(), reason="this SQLite has no FTS5 with trigrams")
SMALL = st.text(alphabet="aAbB \"%_\\'*ä水两周", min_size=1, max_size=7)


def opened(folder: Path, *, keep_grams: bool | None = None) -> Database:
    database = Database(f"sqlite:///{folder / 't.db'}", keep_grams=keep_grams)
    database.migrate()
    return database


def found(database: Database, text: str) -> list[int]:
    return [record.number for record in TripleStore(database).find(TripleFilter(text=text), TripleOrder.OLDEST, 1000)]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.tuples(SMALL, SMALL, SMALL, SMALL), min_size=1, max_size=6), wanted=SMALL, edited=SMALL)
def test_both_searches_find_the_same(tmp_path_factory, texts, wanted, edited):
    folders = [tmp_path_factory.mktemp("by") for _ in range(2)]
    by_index, by_rows = (opened(folder, keep_grams=keep) for folder, keep in zip(folders, (True, False), strict=True))
    for database in (by_index, by_rows):
        ids = TripleStore(database).add([make_triple(q, p, n, task=t) for q, p, n, t in texts]).added
        DecisionStore(database).append([Decision(ids[0], "ann", Action.EDIT, texts=Texts(edited, "p", None))])
    assert by_index.has_grams
    assert not by_rows.has_grams
    assert found(by_index, wanted) == found(by_rows, wanted)
    assert TripleStore(by_index).count(TripleFilter(text=wanted)) == TripleStore(by_rows).count(TripleFilter(text=wanted))


def test_an_edit_and_its_undo_are_found_at_once(tmp_path: Path):
    database = opened(tmp_path)
    store, decisions = TripleStore(database), DecisionStore(database)
    (identifier,) = store.add([make_triple("old words")]).added
    (entry,) = decisions.append([Decision(identifier, "ann", Action.EDIT, texts=Texts("new words", "p", "n"))])
    assert (found(database, "old w"), found(database, "NEW W")) == ([], [1])
    decisions.append([Decision(identifier, "ann", Action.UNDO, undoes=entry.id)])
    assert (found(database, "old w"), found(database, "NEW W")) == ([1], [])


def test_a_workspace_without_the_index_gets_it_when_opened(tmp_path: Path):
    TripleStore(opened(tmp_path, keep_grams=False)).add(make_triples(3))
    database = opened(tmp_path)
    assert database.has_grams
    assert found(database, "number 2") == [3]


def test_a_sqlite_that_cannot_keep_it_still_writes_and_the_index_is_whole_again_later(tmp_path: Path):
    TripleStore(opened(tmp_path)).add(make_triples(2))
    without = opened(tmp_path, keep_grams=False)
    store = TripleStore(without)
    (late,) = store.add([make_triple("written without it")]).added
    DecisionStore(without).append([Decision(late, "ann", Action.EDIT, texts=Texts("edited without it", "p", "n"))])
    assert found(without, "edited without") == [3]
    database = opened(tmp_path)
    assert database.has_grams
    assert found(database, "edited without") == [3]
    assert found(database, "written without") == []


def test_a_program_that_goes_on_finds_what_another_sqlite_wrote_meanwhile(tmp_path: Path):
    going_on = opened(tmp_path)
    TripleStore(going_on).add(make_triples(2))
    TripleStore(opened(tmp_path, keep_grams=False)).add([make_triple("written without it")])
    assert found(going_on, "written without") == [3]
    assert TripleStore(going_on).count(TripleFilter(text="written without")) == 1


def test_a_sqlite_that_cannot_keep_it_goes_on_writing_when_another_program_begins_to(tmp_path: Path):
    going_on = opened(tmp_path, keep_grams=False)
    other = opened(tmp_path)
    TripleStore(going_on).add([make_triple("written without it")])  # a trigger would be told “no such module: fts5” here
    with going_on.reading() as connection:
        assert not kept(connection)
    assert found(other, "written without") == [1]


def test_where_the_index_cannot_be_made_the_workspace_opens_and_every_row_is_compared(tmp_path: Path):
    before = opened(tmp_path, keep_grams=False)
    TripleStore(before).add(make_triples(3))
    with before.transaction() as connection:
        connection.exec_driver_sql("CREATE VIEW triple_grams AS SELECT 1")  # in its way, as a lock or a full disk would be
    database = opened(tmp_path)
    assert not database.has_grams
    assert found(database, "number 2") == [3]
    TripleStore(database).add([make_triple("written all the same")])
    assert found(database, "written all") == [4]


def test_what_the_index_knows_nothing_of_is_compared_row_by_row():
    assert may_hold("水") is None
    assert may_hold("两周") is None
    assert may_hold("a\0bc") is None
    assert may_hold("水两周") is not None


def test_the_index_is_asked_and_the_rows_it_gives_are_compared(tmp_path: Path):
    database = opened(tmp_path)
    TripleStore(database).add([make_triple("abc bcd", "x", "y"), make_triple("abcd", "x", "y"), make_triple("abc", "bcd", "y")])
    with database.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        given_by_index = (
            connection.exec_driver_sql('SELECT rowid FROM triple_grams WHERE triple_grams MATCH \'"abc" AND "bcd"\'').scalars().all()
        )
    assert given_by_index == [1, 2, 3]
    assert found(database, "abcd") == [2]
