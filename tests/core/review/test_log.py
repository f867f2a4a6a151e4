"""The log is the truth: whatever several reviewers do, the stored state is what replaying it gives, and a crash loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, update

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.people import ReviewRules
from core.domain.review import MINED, VERDICTS, Action, Decision, changes_of, replay
from core.domain.triple import Texts, Verdict
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
PEOPLE = ("ann", "bob", "cem")
WHO = st.sampled_from(PEOPLE)
WHICH = st.integers(0, 5)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
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
    """Three people take, decide, edit, mine, act in bulk, settle and undo on six triples; rules that change give some to several."""

    done = 0  # operations of all runs, refused ones left out

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 't.db'}")
        self.database.migrate()
        self.triples, self.log = TripleStore(self.database), DecisionStore(self.database)
        self.leases = LeaseStore(self.database)
        self.team = ReviewTeam(self.log, self.leases, PreferenceStore(self.database), clock=lambda: NOON)
        self.desk = ReviewDesk(self.triples, self.log, lambda triple: [], team=self.team)
        self.desk.learner.stop()
        self.ids = self.triples.add(make_triples(6)).added
        self.team.set_rules(ReviewRules(overlap_share=0.5, readers=2))
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

    @rule(who=WHO, which=st.sets(WHICH, min_size=1, max_size=2), job=st.integers(1, 2), word=st.sampled_from("abc"))
    def mine(self, who: str, which: set[int], job: int, word: str) -> None:
        edits = [Decision(self.ids[i], who, Action.EDIT, texts=Texts("q", "p", f"mined {word}"), batch_id=f"{MINED}{job}") for i in which]
        self.log.append(edits)
        Reviewers.done += 1

    @rule(who=WHO, which=st.none() | WHICH, rules=st.none() | st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(2, 3)))
    def take(self, who: str, which: int | None, rules: tuple[float, int] | None) -> None:
        if rules:
            self.team.set_rules(ReviewRules(*rules))
        if which is not None:
            self.desk.take_card(self.ids[which], self.queue(who))
        elif card := self.desk.next_card(self.queue(who)):
            assert who in self.holders(card.id)

    def queue(self, who: str) -> ReviewQueue:
        return ReviewQueue(order=TripleOrder.OLDEST, reviewer=who, holder=f"window of {who}")

    def holders(self, triple_id: str) -> set[str]:
        return set(self.leases.reviewers_of(triple_id, NOON.isoformat(timespec="milliseconds")))

    @rule(who=WHO, back=st.integers(0, 49), mined=st.booleans())
    def undo(self, who: str, back: int, mined: bool) -> None:
        steps = self.desk.steps(who, mined=mined)
        assert mined or not any((step.batch_id or "").startswith(MINED) for step in steps)
        if not steps:
            return
        try:
            self.desk.undo_step(who, steps[min(back, len(steps) - 1)])
            Reviewers.done += 1
        except BadInput:  # somebody else rewrote the texts since, or judged them: the log must not have grown
            assert self.entries() == self.before

    @invariant()
    def the_stored_state_is_the_replay_of_a_log_that_only_grows(self) -> None:
        for i in self.ids:
            assert self.triples.get(i).standing == replay(self.log.of_triple(i))
        entries = self.entries()
        assert entries[: len(self.before)] == self.before
        self.before = entries

    @invariant()
    def no_verdict_rests_on_texts_its_reviewer_did_not_see(self) -> None:
        for log in self.log.logs(self.ids).values():
            undos = {entry.undoes: entry for entry in log if entry.action is Action.UNDO}
            for place, verdict in enumerate(log):
                if verdict.action not in VERDICTS or verdict.id in undos:
                    continue
                before = log[:place]
                still = [entry for entry in before if entry.id not in undos and entry.action is not Action.UNDO]
                lost = [undos[e.id] for e in before if e.texts and e.id in undos and (undos[e.id].id or 0) > (verdict.id or 0)]
                assert all(undo.reviewer == verdict.reviewer for undo in lost)  # one's own edit, taken back after one's own verdict
                assert lost or replay(still).texts == replay(before).texts

    @invariant()
    def what_waits_is_open_to_whoever_can_still_read_it_and_its_readings_are_in_no_report(self) -> None:
        waiting = [record for record in self.triples.get_many(self.ids) if record.standing.verdict is Verdict.PENDING]
        for who in (PEOPLE[len(self.before) % 3], "dan"):  # one of them in turn, and one who did nothing
            seat = self.team.seat(self.queue(who))
            expected = set()
            for record in waiting:
                read, others = {r.reviewer for r in record.standing.readings}, self.holders(record.id) - {who}
                needed = seat.rules.readers_of(record.id)
                if not others if len(read) >= needed else who not in read and len(read | others) < needed:
                    expected.add(record.id)
            assert set(self.triples.ids(TripleFilter(verdict=Verdict.PENDING, open_to=seat))) == expected
        assert self.log.read_by_several().keys().isdisjoint(record.id for record in waiting)

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
        settings=settings(max_examples=22, stateful_step_count=80, deadline=None, derandomize=True, suppress_health_check=slow_is_fine),
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
