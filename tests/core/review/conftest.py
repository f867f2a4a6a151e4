from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from core.domain.review import Action, Decision
from core.domain.task import EmbeddingTask
from core.domain.triple import Flag, Triple
from core.jobs.board import JobBoard
from core.review.desk import ReviewDesk
from core.review.people import ReviewTeam
from core.review.shelf import DatasetShelf, Stores
from core.settings import Settings
from core.storage.database import Database
from core.storage.decisions import DecisionStore
from core.storage.jobs import JobStore
from core.storage.leases import LeaseStore
from core.storage.preferences import PreferenceStore
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore


@dataclass
class Clock:
    """A time the test moves; it starts well after now, so that real entries lie in the past hour only if the test says so."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Tasks:
    """Keeps tasks in a list."""

    kept: list[EmbeddingTask] = field(default_factory=list)

    def add(self, new) -> None:
        self.kept += new


class Contested(DecisionStore):
    """Somebody else begins to reject a triple just before a batch is written; `threads` are theirs."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.threads: list[Thread] = []

    def append(self, entries, *, seen=None):
        if entries and entries[0].batch_id:
            rejection = Decision(entries[0].triple_id, "bob", Action.REJECT, "broken")
            self.threads.append(Thread(target=DecisionStore(self._database).append, args=([rejection],)))
            self.threads[-1].start()
            self.threads[-1].join(0.3)
        return super().append(entries, seen=seen)


def no_shouting(triple: Triple) -> list[Flag]:
    """The check of these tests: a query in capitals is suspicious."""
    return [Flag("shouting", "The query shouts.", "query", 0.5)] if triple.texts.query.isupper() else []


@dataclass
class Room:
    """A desk and a shelf over one empty workspace."""

    triples: TripleStore
    decisions: DecisionStore
    versions: VersionStore
    jobs: JobStore
    tasks: Tasks
    clock: Clock
    desk: ReviewDesk
    shelf: DatasetShelf
    starter: Path

    def put(self, new: list[Triple]) -> list[str]:
        return self.triples.add(new, {t.id: no_shouting(t) for t in new}).added


@pytest.fixture
def open_room(tmp_path: Path) -> Callable[..., Room]:
    def build(name: str = "workspace") -> Room:
        database = Database(f"sqlite:///{tmp_path / name / 't.db'}")
        database.migrate()
        triples, decisions, versions = TripleStore(database), DecisionStore(database), VersionStore(database)
        tasks, clock, jobs = Tasks(), Clock(), JobStore(database, tmp_path / name / "jobs")
        board = JobBoard(jobs, Settings(workspace=tmp_path / name))
        stores = Stores(triples, decisions, versions, tasks, PreferenceStore(database))
        shelf = DatasetShelf(stores, board, no_shouting, starter_folder=tmp_path / "starter")
        team = ReviewTeam(decisions, LeaseStore(database), PreferenceStore(database), clock=clock)
        desk = ReviewDesk(triples, decisions, no_shouting, team=team, clock=clock)
        return Room(triples, decisions, versions, jobs, tasks, clock, desk, shelf, tmp_path / "starter")

    return build


@pytest.fixture
def room(open_room) -> Room:
    return open_room()
