from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.people import ReviewRules
from core.domain.review import Action, hidden_from
from core.domain.triple import Flag, Texts, Verdict
from core.errors import BadInput
from core.settings import PROJECT_FOLDER
from tests.factories import make_triple, make_triples

ANN = ReviewQueue(order=TripleOrder.OLDEST, reviewer="ann", holder="window of ann")
ANN_TOO = replace(ANN, holder="second window of ann")
BOB = ReviewQueue(order=TripleOrder.OLDEST, reviewer="bob", holder="window of bob")
CEM = ReviewQueue(order=TripleOrder.OLDEST, reviewer="cem", holder="window of cem")
ALL_BY_TWO = ReviewRules(overlap_share=1.0, readers=2)
TAKER = """
import sys
from core.domain.filters import ReviewQueue, TripleOrder
from core.domain.review import Action
from core.settings import Settings
from core.workbench import Workbench
desk, name = Workbench(Settings()).review, sys.argv[1]
queue = ReviewQueue(order=TripleOrder.OLDEST, reviewer="me", holder=name)
card = desk.next_card(queue)
while card:
    print(card.id, flush=True)
    desk.decide(card.id, Action.ACCEPT, "me", seen=card)
    card = desk.next_card(queue, after=card.id)
"""


def read(room, triple_id: str, **verdicts: Action) -> None:
    for name, action in verdicts.items():
        room.desk.decide(triple_id, action, name, reason="because" if action is Action.REJECT else "")


# ---- leases


def test_two_windows_never_get_the_same_card_by_one_name_or_two(room):
    a, b, c = room.put(make_triples(3))
    assert [room.desk.next_card(queue).id for queue in (ANN, ANN_TOO, BOB)] == [a, b, c]
    assert room.desk.next_card(CEM) is None
    assert room.desk.waiting(CEM) == 0


def test_a_window_holds_one_card_and_gives_back_what_it_leaves(room):
    a, b = room.put(make_triples(2))
    room.desk.next_card(ANN)
    assert room.desk.next_card(ANN, after=a).id == b
    assert room.desk.next_card(BOB).id == a
    room.desk.team.release(ANN.holder)
    assert room.desk.next_card(CEM).id == b


def test_a_lease_runs_out_unless_it_is_renewed(room):
    (a,) = room.put([make_triple()])
    room.desk.next_card(ANN)
    room.clock.advance(minutes=4)
    assert room.desk.team.renew(ANN)
    room.clock.advance(minutes=4)
    assert room.desk.next_card(BOB) is None
    room.clock.advance(minutes=1)
    assert room.desk.next_card(BOB).id == a
    assert not room.desk.team.renew(ANN)


def test_a_link_to_a_card_that_somebody_reads_says_who_and_a_reload_takes_ones_own_back(room):
    (a,) = room.put([make_triple()])
    room.desk.next_card(ANN)
    record, others = room.desk.take_card(a, BOB)
    assert (record.id, others) == (a, ["ann"])
    assert room.desk.take_card(a, ANN_TOO)[1] == []  # a reloaded page is a new window of the same person
    assert room.desk.next_card(ANN) is None


def test_who_opens_a_card_that_somebody_reads_leaves_the_own_one_to_others(room):
    a, b = room.put(make_triples(2))
    room.desk.next_card(ANN)
    assert room.desk.next_card(BOB).id == b
    assert room.desk.take_card(b, ANN)[1] == ["bob"]
    assert room.desk.next_card(CEM).id == a


def test_a_look_ahead_takes_nothing(room):
    a, b = room.put(make_triples(2))
    room.desk.next_card(ANN)
    assert room.desk.peek(ANN, after=a).id == b
    assert room.desk.next_card(BOB).id == b


def test_processes_that_race_share_the_queue_without_one_card_twice(room, workbench):
    from core.storage.triples import TripleStore

    ids = TripleStore(workbench.database).add(make_triples(40)).added
    takers = [
        subprocess.Popen([sys.executable, "-c", TAKER, f"w{i}"], cwd=PROJECT_FOLDER, stdout=subprocess.PIPE, text=True) for i in range(3)
    ]
    taken = [line for taker in takers for line in taker.communicate(timeout=120)[0].split()]
    assert sorted(taken) == sorted(ids)
    assert all(taker.returncode == 0 for taker in takers)


# ---- several readers


def test_the_verdict_of_two_is_there_when_both_have_read(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.PENDING
    assert room.desk.next_card(ANN) is None  # not twice to the same reader
    assert room.desk.next_card(BOB).id == a
    read(room, a, bob=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.ACCEPTED
    assert [d.readers for d in room.desk.history(a)] == [2, 2]


def test_two_may_read_at_once_but_not_three(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    assert room.desk.next_card(ANN).id == room.desk.next_card(BOB).id == a
    assert room.desk.next_card(CEM) is None
    assert room.desk.take_card(a, CEM)[1] == ["ann", "bob"]
    read(room, a, ann=Action.ACCEPT)
    room.desk.team.release(ANN.holder)
    assert room.desk.next_card(CEM) is None  # one read it, the other is reading: nothing is left to read


def test_who_looks_again_at_what_they_read_takes_no_place(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT)
    assert room.desk.take_card(a, ANN)[1] == []
    assert room.desk.next_card(BOB).id == a  # ann's lease is no reading to come
    assert room.desk.next_card(CEM) is None
    assert room.desk.take_card(a, CEM)[1] == ["ann", "bob"]
    assert room.desk.take_card(a, BOB)[1] == []
    room.desk.team.release(BOB.holder)
    assert room.desk.take_card(a, CEM)[1] == []


def test_fewer_readers_open_what_waited_for_more_to_them_again_one_at_a_time(room):
    room.desk.team.set_rules(ReviewRules(1.0, 3))
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT, bob=Action.ACCEPT)
    assert room.desk.next_card(ANN) is None
    room.desk.team.set_rules(ALL_BY_TWO)
    assert room.desk.card(a).standing.verdict is Verdict.PENDING  # old entries keep what they meant
    assert room.desk.waiting(ANN) == 1
    assert room.desk.next_card(ANN).id == a
    assert room.desk.next_card(BOB) is None
    assert room.desk.take_card(a, BOB)[1] == ["ann"]
    read(room, a, ann=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.ACCEPTED
    assert [reading.reviewer for reading in room.desk.card(a).standing.readings] == ["bob", "ann"]
    assert room.desk.team.agreement().alpha.units == 1


def test_readings_that_are_not_all_there_yet_are_in_no_report(room):
    room.desk.team.set_rules(ReviewRules(1.0, 3))
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT, bob=Action.REJECT)
    report = room.desk.team.agreement()
    assert (report.alpha.units, report.differing, report.reviewers) == (0, (), ())
    read(room, a, cem=Action.ACCEPT)
    report = room.desk.team.agreement()
    assert (report.alpha.units, report.differing, report.reviewers) == (1, (a,), ("ann", "bob", "cem"))


def test_an_edit_that_an_open_reading_rests_on_stays_and_names_nobody(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    room.desk.decide(a, Action.EDIT, "ann", texts=Texts("new", "p", "n"))
    read(room, a, bob=Action.ACCEPT)
    with pytest.raises(BadInput, match=r"^Somebody gave a verdict") as refused:
        room.desk.undo("ann")
    assert "bob" not in str(refused.value)


def test_readers_are_blind_until_all_have_decided(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.REJECT)
    log = room.desk.history(a)
    assert hidden_from("bob", log) == {log[0].id}
    assert hidden_from("ann", log) == set()
    assert room.desk.card(a).standing.reviewer == ""
    read(room, a, bob=Action.REJECT)
    assert hidden_from("bob", room.desk.history(a)) == set()


def test_a_dispute_waits_for_an_adjudication_which_the_log_keeps(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    a, b = room.put(make_triples(2))
    read(room, a, ann=Action.ACCEPT, bob=Action.REJECT)
    read(room, b, ann=Action.ACCEPT, bob=Action.ACCEPT)
    disputes = replace(CEM, disputed=True)
    card = room.desk.next_card(disputes)
    assert (card.id, card.standing.verdict) == (a, Verdict.DISPUTED)
    assert [(r.reviewer, r.verdict, r.reason) for r in card.standing.readings] == [
        ("ann", Verdict.ACCEPTED, ""),
        ("bob", Verdict.REJECTED, "because"),
    ]
    room.desk.decide(a, Action.REJECT, "cem", reason="duplicate", seen=card)
    settled = room.desk.card(a).standing
    assert (settled.verdict, settled.reviewer, settled.reason) == (Verdict.REJECTED, "cem", "duplicate")
    assert len(settled.readings) == 2
    assert [d.adjudicates for d in room.desk.history(a)] == [False, False, True]
    assert room.desk.next_card(disputes) is None
    assert room.desk.team.agreement().differing == (a,)  # settled, and still a case that differed
    room.desk.undo("cem")
    assert room.desk.card(a).standing.verdict is Verdict.DISPUTED


def test_an_undone_reading_reopens_the_triple(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT, bob=Action.REJECT)
    room.desk.undo("bob")
    assert room.desk.card(a).standing.verdict is Verdict.PENDING
    read(room, a, bob=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.ACCEPTED


def test_who_saw_the_others_reads_again_but_not_independently(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    a, b = room.put(make_triples(2))
    read(room, a, ann=Action.ACCEPT, bob=Action.REJECT)
    room.desk.undo("bob")  # the dispute told him what ann said
    read(room, a, bob=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.ACCEPTED
    report = room.desk.team.agreement()
    assert (report.alpha.units, report.reviewers) == (0, ())
    read(room, b, ann=Action.ACCEPT)
    room.desk.undo("ann")  # nobody else has read it: a slip is put right
    read(room, b, ann=Action.REJECT, bob=Action.REJECT)
    report = room.desk.team.agreement()
    assert (report.alpha.units, report.differing) == (1, ())


def test_of_three_readers_the_two_that_stayed_blind_count(room):
    room.desk.team.set_rules(ReviewRules(1.0, 3))
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT, bob=Action.REJECT, cem=Action.REJECT)
    room.desk.undo("cem")
    read(room, a, cem=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.DISPUTED
    report = room.desk.team.agreement()
    assert [(pair.first, pair.second, pair.same) for pair in report.pairs] == [("ann", "bob", 0)]


def test_who_rewrites_what_is_being_read_asks_the_others_again(room):
    room.desk.team.set_rules(ALL_BY_TWO)
    (a,) = room.put([make_triple()])
    read(room, a, ann=Action.ACCEPT)
    room.desk.decide(a, Action.EDIT, "bob", texts=Texts("new", "p", "n"))
    read(room, a, bob=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.PENDING
    assert room.desk.next_card(ANN).id == a  # her verdict was on another text
    read(room, a, ann=Action.ACCEPT)
    assert room.desk.card(a).standing.verdict is Verdict.ACCEPTED


def test_more_like_this_leaves_what_several_read_to_them_but_a_bulk_decision_on_the_dataset_holds(room):
    triples = [make_triple(f"QUESTION {i}") for i in range(60)]
    ids = room.put(triples)
    room.desk.team.set_rules(ReviewRules(0.5, 2))
    rules = room.desk.team.rules()
    alone = [i for i in ids if rules.readers_of(i) == 1]
    alike = room.desk.alike(room.desk.card(ids[0]))
    assert set(alike.ids) == set(alone) - {ids[0]}
    assert set(room.desk.bulk(ids, Action.ACCEPT, "ann", only_pending=True).changed) == set(alone)
    room.desk.bulk(ids, Action.ACCEPT, "ann")
    assert room.triples.count(TripleFilter(verdict=Verdict.ACCEPTED)) == 60
    assert room.desk.team.agreement().alpha.units == 0


@pytest.mark.parametrize("rules", [ReviewRules(-0.1), ReviewRules(1.5), ReviewRules(0.1, 1), ReviewRules(0.1, 2, 0.0)])
def test_senseless_rules_are_refused(room, rules):
    with pytest.raises(BadInput) as refused:
        room.desk.team.set_rules(rules)
    assert refused.value.hint
    assert room.desk.team.rules() == ReviewRules()


# ---- what was on screen


def test_a_decision_keeps_what_the_checks_said_on_screen(room):
    triple = make_triple("LOUD")
    room.triples.add([triple], {triple.id: [Flag("shouting", "The query shouts.", "query", 0.5)]})
    room.desk.decide(triple.id, Action.ACCEPT, "ann", seen=room.desk.card(triple.id))
    assert room.desk.history(triple.id)[0].shown == ("The query shouts.",)


@pytest.mark.parametrize("action", [Action.ACCEPT, Action.SWAP, Action.EDIT, Action.SKIP])
def test_a_decision_on_texts_that_somebody_changed_since_is_refused_and_says_who(room, action):
    (a,) = room.put([make_triple()])
    seen = room.desk.card(a)
    room.desk.decide(a, Action.EDIT, "bob", texts=Texts("new", "p", "n"))
    with pytest.raises(BadInput, match="bob changed the texts"):
        room.desk.decide(a, action, "ann", texts=Texts("mine", "p", "n"), seen=seen)
    assert room.desk.card(a).texts.query == "new"
    room.desk.decide(a, action, "ann", texts=Texts("mine", "p", "n"), seen=room.desk.card(a))
    assert len(room.desk.history(a)) == 2


def test_a_promoted_negative_leaves_no_negative_and_can_be_taken_back(room):
    triple = make_triple()
    room.put([triple])
    room.desk.decide(triple.id, Action.PROMOTE, "ann")
    assert room.desk.card(triple.id).texts == Texts(triple.texts.query, triple.texts.negative, None)
    with pytest.raises(BadInput, match="no negative"):
        room.desk.decide(triple.id, Action.PROMOTE, "ann")
    room.desk.undo("ann")
    assert room.desk.card(triple.id).texts == triple.texts
