"""Which triples can hold a text: an index of all three-character pieces of their texts as they stand.

It narrows a search to few rows, which are then compared in full; so what passes is the same with and without it. If it kept places too
(detail=full), no second look would be needed, but it would be five times as large (docs/lab-notes.md). Triggers keep it, in the transaction
that changes a text, and are there only while it is whole. SQLite has what it takes from 3.34 on, if built with FTS5; a process with
another SQLite ends it before its first write, every row is compared from then on, and it is made anew when one that can keep it opens the
workspace. So it is made where a database is opened and not by a migration, which runs once and on one machine.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlalchemy import Column, ColumnElement, Connection, Integer, MetaData, Table, bindparam, select, text

from core.storage.schema import triples

LEAST = 3  # characters; SQLite finds nothing shorter in it
MOST_PIECES = 24  # of a search: more of them narrow no further
NAME = "triple_grams"
TEXTS = ("query", "positive", "negative", "task")
TRIGGERS = (f"{NAME}_of_new", f"{NAME}_of_edited")
TABLE = f"CREATE VIRTUAL TABLE {NAME} USING fts5({', '.join(TEXTS)}, content='', columnsize=0, detail=none, tokenize='trigram')"

grams = Table(NAME, MetaData(), Column("rowid", Integer))  # outside the metadata of the schema


@cache
def supported() -> bool:
    """Whether this SQLite can keep the index."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(TABLE)
    except sqlite3.OperationalError:  # no such module or tokenizer
        return False
    finally:
        connection.close()
    return True


def kept(connection: Connection) -> bool:
    """Whether the index is there and whole."""
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN (?, ?)"
    return connection.exec_driver_sql(query, TRIGGERS).scalar() == len(TRIGGERS)


def keep(connection: Connection) -> None:
    """Make the index anew from the texts as they stand, and keep it from now on. About 0.2 ms a triple."""
    stop_keeping(connection)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {NAME}")
    connection.exec_driver_sql(TABLE)
    columns = f"rowid, {', '.join(TEXTS)}"
    connection.exec_driver_sql(f"INSERT INTO {NAME} ({columns}) SELECT {_row('triples')} FROM triples ORDER BY number")  # noqa: S608
    new = f"INSERT INTO {NAME} ({columns}) VALUES ({_row('new')});"  # noqa: S608 - all names are ours
    # FTS5's way to forget a row whose text it does not keep: it is told the text once more.
    old = f"INSERT INTO {NAME} ({NAME}, {columns}) VALUES ('delete', {_row('old')});"  # noqa: S608
    of_new, of_edited = TRIGGERS
    connection.exec_driver_sql(f"CREATE TRIGGER {of_new} AFTER INSERT ON triples BEGIN {new} END")
    changed = "WHEN old.edited_texts IS NOT new.edited_texts"
    connection.exec_driver_sql(f"CREATE TRIGGER {of_edited} AFTER UPDATE OF edited_texts ON triples {changed} BEGIN {old} {new} END")


def stop_keeping(connection: Connection) -> None:
    """Without its triggers the index counts as absent; the table itself can be dropped only by a SQLite that knows its module."""
    for name in TRIGGERS:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def may_hold(wanted: str) -> ColumnElement[bool] | None:
    """Rows whose texts hold all pieces of a text: those with the text, and few others. None where the index says nothing of it."""
    if len(wanted) < LEAST or "\0" in wanted:
        return None
    starts = sorted({*range(0, len(wanted) - LEAST + 1, LEAST), len(wanted) - LEAST})[:MOST_PIECES]  # side by side: each character once
    pieces = [wanted[start : start + LEAST].replace('"', '""') for start in starts]
    every = " AND ".join(f'"{piece}"' for piece in pieces)
    asked = text(f"{NAME} MATCH :pieces").bindparams(bindparam("pieces", every, unique=True))
    return triples.c.number.in_(select(grams.c.rowid).where(asked))


def _row(of: str) -> str:
    """Number and texts of a row of triples as they stand, as SQL."""
    edited = f"{of}.edited_texts"
    shown = (f"CASE WHEN {edited} IS NULL THEN {of}.{name} ELSE json_extract({edited}, '$.{name}') END" for name in TEXTS[:3])
    return ", ".join((f"{of}.number", *shown, f"{of}.task"))
