"""The log is the truth: whatever several reviewers do, the stored state is what replaying it gives, and a crash loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, update

from core.domain.people import ReviewRules
from core.domain.review import Action, Decision, changes_of, replay
from core.domain.triple import Texts
from core.errors import BadInput, StorageError
from core.review.desk import ReviewDesk
from core.review.people import ReviewTeam
from core.settings import PROJECT_FOLDER, Settings
from core.storage.database import Database
from core.storage.decisions import DecisionStore
from core.storage.leases import LeaseStore
from core.storage.preferences import PreferenceStore
from core.storage.schema import decisions
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triples

OPERATIONS = 1000
WHO = st.sampled_from(["ann", "bob", "cem"])
WHICH = st.integers(0, 5)
ONE_BY_ONE = """
import itertools
from core.domain.filters import ReviewQueue
from core.domain.review import Action
from core.settings import Settings
from core.workbench import Workbench
desk = Workbench(Settings()).review
queue = ReviewQueue(reviewer="me", holder="w")
actions = itertools.cycle((Action.ACCEPT, Action.REJECT, Action.FLAG, Action.SWAP))
for action in actions:
    card = desk.next_card(queue)
    print(desk.decide(card.id, action, "me", reason="duplicate", seen=card).id, flush=True)
"""


class Reviewers(RuleBasedStateMachine):
    """Three people decide, edit, act in bulk, settle and undo on six triples, half of which two of them read."""

    done = 0  # operations of all runs, refused ones left out

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 't.db'}")
        self.database.migrate()
        self.triples, self.log = TripleStore(self.database), DecisionStore(self.database)
        team = ReviewTeam(self.log, LeaseStore(self.database), PreferenceStore(self.database))
        self.desk = ReviewDesk(self.triples, self.log, lambda triple: [], team=team)
        self.ids = self.triples.add(make_triples(6)).added
        team.set_rules(ReviewRules(overlap_share=0.5, readers=2))
        self.before: list[Decision] = []

    def entries(self) -> list[Decision]:
        return sorted((d for i in self.ids for d in self.log.of_triple(i)), key=lambda d: d.id or 0)

    @rule(who=WHO, which=WHICH, action=st.sampled_from([Action.ACCEPT, Action.REJECT, Action.SKIP, Action.FLAG, Action.SWAP]))
    def decide(self, who: str, which: int, action: Action) -> None:
        self.desk.decide(self.ids[which], action, who, reason="other", seen=self.desk.card(self.ids[which]))
        Reviewers.done += 1

    @rule(who=WHO, which=WHICH, word=st.text("abc", min_size=1, max_size=3))
    def edit(self, who: str, which: int, word: str) -> None:
        texts = Texts(f"query {word}", "p", "n")
        if self.desk.card(self.ids[which]).texts != texts:
            self.desk.decide(self.ids[which], Action.EDIT, who, texts=texts)
            Reviewers.done += 1

    @rule(who=WHO, which=st.sets(WHICH), accept=st.booleans(), only_pending=st.booleans())
    def bulk(self, who: str, which: set[int], accept: bool, only_pending: bool) -> None:
        action = Action.ACCEPT if accept else Action.REJECT
        self.desk.bulk([self.ids[i] for i in which], action, who, reason="other", only_pending=only_pending)
        Reviewers.done += 1

    @rule(who=WHO, back=st.integers(0, 49))
    def undo(self, who: str, back: int) -> None:
        steps = self.desk.steps(who)
        if not steps:
            return
        try:
            self.desk.undo_step(who, steps[min(back, len(steps) - 1)])
            Reviewers.done += 1
        except BadInput:  # somebody else rewrote the texts since: the log must not have grown
            assert self.entries() == self.before

    @invariant()
    def the_stored_state_is_the_replay_of_a_log_that_only_grows(self) -> None:
        for i in self.ids:
            assert self.triples.get(i).standing == replay(self.log.of_triple(i))
        entries = self.entries()
        assert entries[: len(self.before)] == self.before
        self.before = entries

    def teardown(self) -> None:
        stored = [self.triples.get(i).standing for i in self.ids]
        self.log.rebuild_standings()
        assert [self.triples.get(i).standing for i in self.ids] == stored
        self.database.close()
        self.folder.cleanup()


def test_a_thousand_random_steps_leave_what_replaying_the_log_gives():
    Reviewers.done = 0
    slow_is_fine = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Reviewers,
        settings=settings(max_examples=20, stateful_step_count=80, deadline=None, derandomize=True, suppress_health_check=slow_is_fine),
    )
    assert Reviewers.done >= OPERATIONS


def test_the_database_refuses_to_change_or_delete_an_entry(room):
    (a,) = room.put(make_triples(1))
    room.desk.decide(a, Action.ACCEPT, "ann")
    database = room.decisions._database
    for statement in (update(decisions).values(reviewer="eve"), delete(decisions)):
        with pytest.raises(StorageError, match="never changed"), database.transaction() as connection:
            connection.execute(statement)
    assert [d.reviewer for d in room.desk.history(a)] == ["ann"]


def test_any_of_the_last_fifty_steps_can_be_undone_and_no_older_one(room):
    ids = room.put(make_triples(52))
    for i in ids:
        room.desk.decide(i, Action.ACCEPT, "ann")
    steps = room.desk.steps("ann")
    assert [step.triple_id for step in steps] == ids[:1:-1]
    room.desk.undo_step("ann", steps[49])
    assert [i for i in ids if room.desk.card(i).standing.verdict.value == "pending"] == [ids[2]]


def test_a_history_tells_from_what_to_what(room):
    (a,) = room.put(make_triples(1))
    for action in (Action.REJECT, Action.SWAP, Action.ACCEPT):
        room.desk.decide(a, action, "ann", reason="other")
    room.desk.undo("ann")
    changes = [(d.action.value, b.verdict.value, n.verdict.value, b.texts == n.texts) for d, b, n in changes_of(room.desk.history(a))]
    assert changes == [
        ("reject", "pending", "rejected", True),
        ("swap", "rejected", "rejected", False),
        ("accept", "rejected", "accepted", True),
        ("undo", "accepted", "rejected", True),
    ]


def test_kill_9_between_two_decisions_loses_none(workbench: Workbench):
    triples = TripleStore(workbench.database)
    ids = triples.add(make_triples(300)).added
    told: list[int] = []
    for presses in (1, 2, 5, 11):
        reviewer = subprocess.Popen([sys.executable, "-c", ONE_BY_ONE], cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, text=True)
        told += [int(reviewer.stdout.readline()) for _ in range(presses)]
        os.kill(reviewer.pid, signal.SIGKILL)
        told += [int(line) for line in reviewer.stdout]  # answered before the signal came
        reviewer.wait()
    after = Workbench(Settings())
    log = DecisionStore(after.database)
    assert [log.get(i).id for i in told] == told
    assert log.newest_id() - told[-1] in (0, 1)  # at most one was written and not yet answered
    assert all(triples.get(i).standing == replay(log.of_triple(i)) for i in ids)
