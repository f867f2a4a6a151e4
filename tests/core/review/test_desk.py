from __future__ import annotations

import pytest

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.review import Action
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, NothingToDo
from tests.factories import make_triple, make_triples

ANN = ReviewQueue(order=TripleOrder.OLDEST, reviewer="ann")
BOB = ReviewQueue(order=TripleOrder.OLDEST, reviewer="bob")


def test_a_decided_card_is_never_served_again(room):
    ids = room.put(make_triples(4))
    served = []
    card = room.desk.next_card(ANN)
    while card:
        served.append(card.id)
        room.desk.decide(card.id, Action.ACCEPT if len(served) % 2 else Action.REJECT, "ann", reason="x")
        card = room.desk.next_card(ANN, after=card.id)
    assert served == ids
    assert room.desk.next_card(BOB) is None


def test_a_skip_moves_on_for_that_reviewer_only(room):
    first, second = room.put(make_triples(2))
    room.desk.decide(first, Action.SKIP, "ann")
    assert room.desk.next_card(ANN).id == second
    assert room.desk.next_card(BOB).id == first
    assert (room.desk.waiting(ANN), room.desk.skipped(ANN)) == (1, 1)
    room.desk.undo("ann")
    assert room.desk.next_card(ANN).id == first


def test_stepping_goes_round_and_leaves_out_what_was_decided(room):
    a, b, c = room.put(make_triples(3))
    room.desk.decide(b, Action.ACCEPT, "bob")
    assert room.desk.next_card(ANN, after=a).id == c
    assert room.desk.next_card(ANN, after=c).id == a
    assert room.desk.previous_card(ANN, before=a).id == c
    assert room.desk.next_card(ANN, after=b).id == c  # also from a card that is in the queue no longer


def test_the_queue_keeps_to_its_filter(room):
    room.put(make_triples(3))
    special = room.put([make_triple("about ginkgo")])[0]
    queue = ReviewQueue(TripleFilter(text="about ginkgo"), TripleOrder.RANDOM, 5, "ann")
    assert room.desk.next_card(queue).id == special
    room.desk.decide(special, Action.ACCEPT, "ann")
    assert room.desk.next_card(queue, after=special) is None


def test_a_rejection_needs_a_reason_and_a_decision_a_name(room):
    (triple,) = room.put([make_triple()])
    with pytest.raises(BadInput, match="reason"):
        room.desk.decide(triple, Action.REJECT, "ann", reason="  ")
    with pytest.raises(BadInput, match="name"):
        room.desk.decide(triple, Action.ACCEPT, " ")
    assert room.desk.history(triple) == []


def test_an_edit_keeps_the_original_and_is_checked_again(room):
    triple = make_triple()
    room.put([triple])
    room.desk.decide(triple.id, Action.EDIT, "ann", texts=Texts(" WHY YELLOW ", triple.texts.positive, triple.texts.negative))
    record = room.desk.card(triple.id)
    assert record.triple.texts == triple.texts
    assert record.texts.query == "WHY YELLOW"
    assert [flag.code for flag in record.flags] == ["shouting"]
    room.desk.undo("ann")
    assert room.desk.card(triple.id).texts == triple.texts
    assert room.desk.card(triple.id).flags == ()


@pytest.mark.parametrize(
    "texts",
    [
        Texts("  ", "p", "n"),
        Texts("q", "", "n"),
        Texts("q", "p", " "),
        Texts("q", "p", None),
        Texts("q", "same  text", "same text"),
        make_triple().texts,
        None,
    ],
)
def test_edits_that_cannot_be_trained_on_are_refused(room, texts):
    (triple,) = room.put([make_triple()])
    with pytest.raises(BadInput) as refused:
        room.desk.decide(triple, Action.EDIT, "ann", texts=texts)
    assert refused.value.hint
    assert room.desk.history(triple) == []


def test_a_blank_negative_stays_none_where_there_was_none(room):
    (triple,) = room.put([make_triple(negative=None)])
    room.desk.decide(triple, Action.EDIT, "ann", texts=Texts("q", "p", " "))
    assert room.desk.card(triple).texts == Texts("q", "p", None)


def test_a_swap_swaps_the_texts_of_now(room):
    (triple,) = room.put([make_triple()])
    room.desk.decide(triple, Action.EDIT, "ann", texts=Texts("q", "p", "n"))
    room.desk.decide(triple, Action.SWAP, "bob")
    assert room.desk.card(triple).texts == Texts("q", "n", "p")
    with pytest.raises(BadInput, match="bob changed"):
        room.desk.undo("ann")
    room.desk.undo("bob")
    room.desk.undo("ann")
    assert room.desk.card(triple).texts == make_triple().texts


def test_a_triple_without_a_negative_cannot_be_swapped(room):
    (triple,) = room.put([make_triple(negative=None)])
    with pytest.raises(BadInput, match="no negative"):
        room.desk.decide(triple, Action.SWAP, "ann")


def test_undo_takes_back_ones_own_steps_newest_first(room):
    a, b = room.put(make_triples(2))
    room.desk.decide(a, Action.ACCEPT, "ann")
    room.desk.decide(b, Action.ACCEPT, "ann")
    room.desk.decide(b, Action.REJECT, "bob", reason="x")
    assert [r.id for r in room.desk.undo("ann")] == [b]
    assert room.desk.card(b).standing.verdict is Verdict.REJECTED  # bob's stands
    assert [r.id for r in room.desk.undo("ann")] == [a]
    assert room.desk.card(a).standing.verdict is Verdict.PENDING
    with pytest.raises(NothingToDo):
        room.desk.undo("ann")


def test_a_bulk_action_leaves_equal_verdicts_alone_and_is_undone_as_one(room):
    ids = room.put(make_triples(5))
    room.desk.decide(ids[0], Action.ACCEPT, "bob")
    room.desk.decide(ids[1], Action.REJECT, "bob", reason="x")
    report = room.desk.bulk([*ids, ids[2], "unknown"], Action.ACCEPT, "ann")
    assert report.changed == tuple(ids[1:])
    assert report.unchanged == 1
    assert room.triples.count(TripleFilter(verdict=Verdict.ACCEPTED)) == 5
    assert len(room.desk.steps("ann")) == 1
    assert {r.id for r in room.desk.undo("ann")} == set(ids[1:])
    assert room.desk.card(ids[1]).standing.verdict is Verdict.REJECTED
    assert room.triples.count(TripleFilter(verdict=Verdict.ACCEPTED)) == 1


def test_a_bulk_action_on_nothing_new_writes_nothing(room):
    (triple,) = room.put([make_triple()])
    room.desk.bulk([triple], Action.ACCEPT, "ann")
    assert room.desk.bulk([triple], Action.ACCEPT, "ann").batch_id is None
    assert len(room.desk.history(triple)) == 1


def test_an_older_step_can_be_taken_back_too_but_only_ones_own(room):
    a, b = room.put(make_triples(2))
    room.desk.decide(a, Action.ACCEPT, "ann")
    room.desk.decide(b, Action.ACCEPT, "ann")
    older = room.desk.steps("ann")[1]
    with pytest.raises(BadInput):
        room.desk.undo_step("bob", older)
    room.desk.undo_step("ann", older)
    assert room.desk.card(a).standing.verdict is Verdict.PENDING
    assert room.desk.card(b).standing.verdict is Verdict.ACCEPTED
    with pytest.raises(BadInput):
        room.desk.undo_step("ann", older)


def test_alike_are_the_waiting_ones_with_the_same_fault_and_task(room):
    loud = [make_triple(f"QUESTION {i}") for i in range(4)]
    other_task = make_triple("QUESTION 9", task="Another task.")
    quiet = make_triple("question")
    room.put([*loud, other_task, quiet])
    room.desk.decide(loud[1].id, Action.ACCEPT, "bob")
    alike = room.desk.alike(room.desk.card(loud[0].id), preview=1)
    assert alike.ids == (loud[2].id, loud[3].id)
    assert [record.id for record in alike.examples] == [loud[2].id]
    assert alike.flag.code == "shouting"
    assert room.desk.alike(room.desk.card(quiet.id)) is None


def test_progress_tells_speed_and_time_left(room):
    ids = room.put(make_triples(10))
    for triple in ids[:2]:
        room.desk.decide(triple, Action.ACCEPT, "ann")
    assert room.desk.progress(ANN).per_hour is None
    room.desk.decide(ids[2], Action.ACCEPT, "ann")
    room.desk.decide(ids[3], Action.ACCEPT, "bob")
    room.clock.advance(minutes=30)
    now = room.desk.progress(ANN)
    assert (now.mine, now.decided, now.total, now.waiting) == (3, 4, 10, 6)
    assert now.per_hour == pytest.approx(6, rel=0.01)  # three in half an hour
    assert now.hours_left == pytest.approx(1, rel=0.01)
    room.clock.advance(hours=2)
    assert room.desk.progress(ANN).per_hour is None
