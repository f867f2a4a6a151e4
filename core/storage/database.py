"""Open the database, bring it to the newest schema, run transactions; foreign errors become ours here."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from core.errors import DiskFull, StorageError, WorkspaceDamaged, WorkspaceLocked
from core.storage import gram_index

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30


def now() -> str:
    """UTC time as the tables hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Database:
    """One engine. SQLite runs in WAL mode with synchronous=FULL: what was answered "saved" survives a power cut."""

    def __init__(self, url: str, *, keep_grams: bool | None = None) -> None:
        """`keep_grams`: whether to keep the index of texts (see core.storage.gram_index); absent, where this SQLite can."""
        self.url = url
        self._is_sqlite = url.startswith("sqlite")
        can = self._is_sqlite and gram_index.supported()
        self._keep_grams = can if keep_grams is None else keep_grams
        if url.startswith("sqlite:///"):
            with translated_errors():
                Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._shared = threading.local()  # the transaction of `together`, for the thread that opened it
        self._engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS} if self._is_sqlite else {})
        if self._is_sqlite:
            event.listen(self._engine, "connect", _sqlite_pragmas)
            event.listen(self._engine, "begin", _begin_immediately)

    def migrate(self) -> None:
        """Create or upgrade the tables. Cheap when there is nothing to do: alembic takes longer to load than all the rest of a command.

        Raises:
            StorageError: the tables are of a newer version of Tercet, or cannot be used.
        """
        known = sorted(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("m*.py"))
        with translated_errors(), self._engine.connect().execution_options(reading=True) as connection:
            at = _revision(connection)
        if at == known[-1]:
            self._settle_grams()
            return
        if at is not None and at not in known:
            raise StorageError(
                f"This workspace was written by a newer version of Tercet: its tables are {at}, this version knows {known[-1]}.",
                hint="Update Tercet and run `make app` again, or open another workspace.",
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with translated_errors(), self._engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        self._settle_grams()

    def _settle_grams(self) -> None:
        """Keep the index of texts from now on. Where it cannot be written now, searches are slower until the next time."""
        if not self._keep_grams or self.has_grams:
            return
        with suppress(StorageError), self.transaction() as connection:  # a workspace that is locked or full can still be read
            if not gram_index.kept(connection):  # another process may have been quicker
                gram_index.keep(connection)

    @property
    def has_grams(self) -> bool:
        """Whether the index of texts is whole now: a process whose SQLite cannot keep it may have ended it since this one began."""
        if not self._keep_grams:
            return False
        with self.reading() as connection:
            return gram_index.kept(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing; committed on leaving.

        Raises:
            DiskFull, WorkspaceLocked, WorkspaceDamaged, StorageError: nothing of the block was written.
        """
        outer: Connection | None = getattr(self._shared, "connection", None)
        if outer is not None:
            with translated_errors():
                yield outer  # no savepoint: what fails inside ends the whole block
            return
        with translated_errors(), self._engine.begin() as connection:
            if self._is_sqlite and not self._keep_grams:  # a trigger of another process would fail here, and the write with it
                gram_index.stop_keeping(connection)
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Transactions and readings of this thread inside the block are one transaction with one commit, which is what takes long.

        Let errors of the parts leave the block: all is undone or nothing.

        Raises:
            StorageError: nothing of the block was written.
        """
        outer: Connection | None = getattr(self._shared, "connection", None)
        with self.transaction() as connection:
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = outer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries; never waits for writers (WAL)."""
        outer: Connection | None = getattr(self._shared, "connection", None)
        if outer is not None:
            with translated_errors():
                yield outer
            return
        with translated_errors(), self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_immediately
    # recursive_triggers: without it, REPLACE deletes a row of the log past the trigger that refuses deleting.
    settings = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON", f"busy_timeout={BUSY_SECONDS * 1000}")
    for pragma in settings:
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Connection) -> None:
    # A deferred transaction that turns into a writer late fails at once when another one wrote: take the lock first.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn errors of SQLAlchemy and the file system into ours, with what to do next."""
    try:
        yield
    except OperationalError as error:
        raise _operational(error) from error
    except DBAPIError as error:
        if "malformed" in str(error.orig) or "not a database" in str(error.orig):
            raise WorkspaceDamaged(
                f"The workspace database is damaged: {error.orig}.", hint="Restore tercet.db from a copy, or open another workspace."
            ) from error
        raise StorageError(f"The database refused: {error.orig}.", hint="See the log for the statement.") from error
    except SQLAlchemyError as error:
        raise StorageError(f"The database cannot be used: {error}.", hint="Check TERCET_DATABASE_URL.") from error
    except OSError as error:
        raise from_os_error(error) from error


def _operational(error: OperationalError) -> StorageError:
    text = str(error.orig)
    if "full" in text or "disk I/O" in text:
        return DiskFull("The workspace cannot be written: no space is left.", hint="Free some space, then repeat; nothing saved was lost.")
    if "locked" in text:
        return WorkspaceLocked(
            f"The workspace stayed busy for {BUSY_SECONDS} s.", hint="Another program holds it; close it or wait, then repeat."
        )
    return StorageError(f"The workspace cannot be opened: {text}.", hint="Check that the folder exists and may be written.")


def from_os_error(error: OSError) -> StorageError:
    """Our error for trouble with a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull("The workspace cannot be written: no space is left.", hint="Free some space, then repeat; nothing saved was lost.")
    return StorageError(f"{error.filename or 'A file'} cannot be used: {error.strerror}.", hint="Check the path and its permissions.")
