from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.review import Action, Decision, Standing, replay
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, NotFound
from core.storage.database import Database
from core.storage.decisions import DecisionStore
from core.storage.triples import TripleStore
from tests.factories import make_triples

ACTIONS = st.sampled_from(["accept", "reject", "edit", "swap", "flag", "skip", "undo", "bulk"])
STEPS = st.lists(st.tuples(ACTIONS, st.sampled_from(["ann", "bob"]), st.integers(0, 2), st.text(max_size=5)), max_size=14)


def stores(folder: Path) -> tuple[TripleStore, DecisionStore, list[str]]:
    database = Database(f"sqlite:///{folder / 't.db'}")
    database.migrate()
    triples = TripleStore(database)
    return triples, DecisionStore(database), triples.add(make_triples(3)).added


@pytest.fixture
def opened(tmp_path: Path) -> tuple[TripleStore, DecisionStore, list[str]]:
    return stores(tmp_path)


def perform(log: DecisionStore, ids: list[str], step: tuple) -> None:
    action, reviewer, which, word = step
    if action == "undo":
        newest = log.steps(reviewer, limit=1)
        if newest:
            log.append([Decision(e.triple_id, reviewer, Action.UNDO, undoes=e.id) for e in log.holding(newest[0], reviewer)])
    elif action == "bulk":
        log.append([Decision(i, reviewer, Action.ACCEPT, batch_id=f"b{word}{which}{reviewer}") for i in ids])
    else:
        texts = Texts(f"q{word}", "p", "n") if action in ("edit", "swap") else None
        log.append([Decision(ids[which], reviewer, Action(action), word if action == "reject" else "", texts)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_the_stored_standing_is_the_replay_of_the_log(steps: list[tuple]):
    with tempfile.TemporaryDirectory() as folder:
        triples, log, ids = stores(Path(folder))
        for step in steps:
            perform(log, ids, step)
        stored = {i: triples.get(i).standing for i in ids}
        assert stored == {i: replay(log.of_triple(i)) for i in ids}
        assert log.rebuild_standings() == 3
        assert {i: triples.get(i).standing for i in ids} == stored


def test_undoing_everything_gives_the_beginning_back(opened):
    triples, log, ids = opened
    for step in [("accept", "ann", 0, ""), ("edit", "ann", 0, "x"), ("bulk", "ann", 0, ""), ("flag", "ann", 1, ""), ("skip", "ann", 2, "")]:
        perform(log, ids, step)
    for _ in range(5):
        perform(log, ids, ("undo", "ann", 0, ""))
    assert log.steps("ann") == []
    assert [triples.get(i).standing for i in ids] == [Standing()] * 3


def test_an_entry_on_an_unknown_triple_writes_nothing(opened):
    triples, log, ids = opened
    with pytest.raises(NotFound):
        log.append([Decision(ids[0], "ann", Action.ACCEPT), Decision("nobody", "ann", Action.ACCEPT)])
    assert log.of_triple(ids[0]) == []
    assert triples.get(ids[0]).standing.verdict is Verdict.PENDING


def test_who_comes_second_is_told_who_decided(opened):
    _, log, ids = opened
    log.append([Decision(ids[0], "ann", Action.ACCEPT)])
    with pytest.raises(BadInput, match="ann accepted this triple"):
        log.append([Decision(ids[0], "bob", Action.REJECT, "x")], seen=Standing())
    assert len(log.of_triple(ids[0])) == 1


def test_a_bulk_action_is_one_step(opened):
    _, log, ids = opened
    log.append([Decision(ids[0], "ann", Action.REJECT, "why")])
    log.append([Decision(i, "ann", Action.ACCEPT, batch_id="b") for i in ids])
    newest, older = log.steps("ann")
    assert (newest.action, newest.entries, newest.batch_id) == (Action.ACCEPT, 3, "b")
    assert (older.action, older.entries, older.reason) == (Action.REJECT, 1, "why")


def test_a_step_ranks_by_when_it_was_begun_and_a_mined_one_is_asked_for(opened):
    _, log, ids = opened
    for triple, batch in ((ids[0], "mine-1"), (ids[1], None), (ids[2], "mine-1")):
        log.append([Decision(triple, "ann", Action.EDIT, texts=Texts("q", "p", "n"), batch_id=batch)])
    assert [(step.batch_id, step.entries) for step in log.steps("ann", mined=True)] == [(None, 1), ("mine-1", 2)]
    assert [(step.batch_id, step.entries) for step in log.steps("ann")] == [(None, 1)]


def test_of_a_step_only_what_was_not_taken_back_holds(opened):
    _, log, ids = opened
    log.append([Decision(i, "ann", Action.ACCEPT, batch_id="b") for i in ids])
    log.append([Decision(ids[0], "bob", Action.REJECT, "x", batch_id="b")])  # no such batch is written, and it would not be hers
    (step,) = log.steps("ann")
    log.append([Decision(ids[1], "ann", Action.UNDO, undoes=log.of_triple(ids[1])[0].id)])
    assert [entry.triple_id for entry in log.holding(step, "ann")] == [ids[0], ids[2]]


def test_verdicts_and_logs_come_by_triple_in_the_order_asked(opened):
    _, log, ids = opened
    log.append([Decision(ids[0], "ann", Action.REJECT, "x"), Decision(ids[2], "ann", Action.ACCEPT)])
    asked = [ids[2], "nobody", ids[1], ids[0], ids[2]]
    assert list(log.verdicts(asked).items()) == [(ids[2], Verdict.ACCEPTED), (ids[1], Verdict.PENDING), (ids[0], Verdict.REJECTED)]
    assert log.logs(ids[:2]) == {ids[0]: log.of_triple(ids[0]), ids[1]: []}


def test_tempo_counts_single_verdicts_that_hold(opened):
    _, log, ids = opened
    log.append([Decision(ids[0], "ann", Action.ACCEPT, created_at="2026-01-01T10:00:00"), Decision(ids[1], "ann", Action.SKIP)])
    log.append([Decision(ids[1], "ann", Action.REJECT, "x", created_at="2026-01-01T12:00:00")])
    undone = log.append([Decision(ids[2], "ann", Action.ACCEPT, created_at="2026-01-01T12:30:00")])[0]
    log.append([Decision(ids[2], "ann", Action.UNDO, undoes=undone.id)])
    log.append([Decision(i, "ann", Action.ACCEPT, batch_id="b", created_at="2026-01-01T13:00:00") for i in ids])
    assert log.tempo("ann", "2026-01-01T11:00:00") == (2, 1, "2026-01-01T12:00:00")
