"""The database: migrations, all-or-nothing, and named trouble."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import event, insert, inspect, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from core.errors import DiskFull, StorageError, WorkspaceDamaged, WorkspaceLocked
from core.storage import database as module
from core.storage import gram_index
from core.storage.database import Database
from core.storage.preferences import PreferenceStore
from core.storage.schema import metadata, preferences


@pytest.fixture
def database(tmp_path: Path) -> Database:
    opened = Database(f"sqlite:///{tmp_path / 'tercet.db'}")
    opened.migrate()
    return opened


def test_migrations_give_exactly_the_tables_and_columns_of_the_schema(database: Database) -> None:
    with database.reading() as connection:
        found = inspect(connection)
        tables = [t for t in found.get_table_names() if t != "alembic_version" and not t.startswith(gram_index.NAME)]
        columns = {t: {c["name"] for c in found.get_columns(t)} for t in tables}
        # From SQLite itself: SQLAlchemy cannot reflect an index over an expression.
        rows = connection.exec_driver_sql("SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").tuples().all()
    assert columns == {t.name: {c.name for c in t.columns} for t in metadata.sorted_tables}
    wanted = [(t.name, str(CreateIndex(i).compile(dialect=sqlite.dialect()))) for t in metadata.sorted_tables for i in t.indexes]
    assert sorted((table, " ".join(sql.split())) for table, sql in rows) == sorted((table, " ".join(sql.split())) for table, sql in wanted)


def test_migrating_twice_changes_nothing(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(insert(preferences).values(name="kept", value=1))
    database.migrate()
    with database.reading() as connection:
        assert connection.execute(select(preferences.c.value)).scalar() == 1


def test_a_workspace_of_a_newer_version_says_what_to_do(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'm999'")
    with pytest.raises(StorageError, match="newer version of Tercet: its tables are m999") as caught:
        database.migrate()
    assert "Update Tercet" in caught.value.hint


def test_opening_a_workspace_of_this_version_does_not_load_alembic(database: Database) -> None:
    code = f"import sys; from core.storage.database import Database; Database({database.url!r}).migrate(); print('alembic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_failing_block_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(StorageError), database.transaction() as connection:
        connection.execute(insert(preferences).values(name="a", value=1))
        connection.execute(insert(preferences).values(name="a", value=2))
    with database.reading() as connection:
        assert connection.execute(select(preferences)).all() == []


def test_sqlite_runs_with_wal_and_full_synchronous(database: Database) -> None:
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_full_database_is_named_and_keeps_what_was_there(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(insert(preferences).values(name="kept", value="safe"))
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    database.close()
    event.listen(database._engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count={pages}"))
    with pytest.raises(DiskFull), database.transaction() as connection:
        connection.execute(insert(preferences).values(name="large", value="x" * 1_000_000))
    with database.reading() as connection:
        assert connection.execute(select(preferences.c.name)).scalars().all() == ["kept"]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tercet.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(WorkspaceDamaged) as caught:
        Database(f"sqlite:///{tmp_path / 'tercet.db'}").migrate()
    assert caught.value.hint


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        Database(f"sqlite:///{tmp_path / 'file' / 'tercet.db'}")
    assert caught.value.hint


def test_a_busy_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0)
    first, second = (Database(f"sqlite:///{tmp_path / 'tercet.db'}") for _ in range(2))
    first.migrate()
    with first.transaction(), pytest.raises(WorkspaceLocked), second.transaction():
        pass


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    read: list[int] = []

    def look() -> None:
        with database.reading() as connection:
            read.append(len(connection.execute(select(preferences)).all()))

    with database.transaction() as connection:
        connection.execute(insert(preferences).values(name="a", value=1))
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(timeout=5)
    assert read == [0]


def test_a_block_within_a_block_is_part_of_it(database: Database) -> None:
    preferences = PreferenceStore(database)
    with pytest.raises(ZeroDivisionError), database.together():
        with database.together():
            preferences.set("inner", 1)
        preferences.set("outer", 1)  # by the same transaction: another one would wait for it
        raise ZeroDivisionError
    assert (preferences.get("inner"), preferences.get("outer")) == (None, None)
