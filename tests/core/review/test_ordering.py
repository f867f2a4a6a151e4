"""What a reviewer's own verdicts teach: an order of one's own and a suggestion, never a decision."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.review import Action, TripleRecord
from core.domain.triple import Flag, Triple, Verdict
from core.review.ordering import CALIBRATED, LEAST_VERDICTS, OrderLearner, evidence_of, fit
from core.settings import PROJECT_FOLDER
from tests.core.review.conftest import Room
from tests.factories import make_triples

ODD = Flag("odd", "The positive is odd.", "positive", 0.0)  # of no weight: the calibration makes nothing of it
QUEUE = ReviewQueue(reviewer="anna")


def odd(number: int) -> bool:
    return number % 4 == 0


def fill(room: Room, count: int) -> list[str]:
    """Triples, every fourth of which bears a flag that only anna minds."""
    new = make_triples(count)
    return room.triples.add(new, {triple.id: [ODD] for i, triple in enumerate(new) if odd(i)}).added


def decide(room: Room, ids: list[str], reviewer: str = "anna") -> None:
    """Anna's verdicts: what is odd is rejected."""
    for identifier in ids:
        flagged = bool(room.desk.card(identifier).flags)
        room.desk.decide(identifier, Action.REJECT if flagged else Action.ACCEPT, reviewer, reason="other" if flagged else "")
        room.desk.learner.wait()


def the_rest(room: Room, queue: ReviewQueue) -> list[TripleRecord]:
    """Every waiting card in the queue's order, without a decision."""
    found = [room.desk.next_card(queue)]
    while (card := room.desk.next_card(queue, after=found[-1].id)) and card.id not in {one.id for one in found}:
        found.append(card)
    return found


def test_below_fifty_verdicts_nothing_is_learnt(room: Room):
    ids = fill(room, 80)
    before = [card.id for card in the_rest(room, QUEUE)]
    decide(room, ids[: LEAST_VERDICTS - 1])
    assert room.desk.suggestion(room.desk.card(ids[76]), "anna") is None
    assert [card.id for card in the_rest(room, QUEUE)] == [i for i in before if i not in ids[: LEAST_VERDICTS - 1]]


def test_what_a_reviewer_rejects_comes_first_and_is_suggested_with_its_reason(room: Room):
    ids = fill(room, 120)
    decide(room, ids[:80])
    rest = the_rest(room, QUEUE)
    assert [bool(card.flags) for card in rest] == [True] * 10 + [False] * 30
    suggestion = room.desk.suggestion(rest[0], "anna")
    assert suggestion is not None
    assert suggestion.probability > 0.5
    assert suggestion.learnt_from == 80
    assert suggestion.reasons[0] == "The positive is odd (you rejected 20 of 20 such)"
    assert room.desk.suggestion(rest[-1], "anna") is None
    assert room.triples.count(TripleFilter(verdict=Verdict.PENDING)) == 40  # nothing was decided by it


def test_another_reviewer_and_other_orders_are_left_as_they_were(room: Room):
    ids = fill(room, 120)
    ben, oldest = ReviewQueue(reviewer="ben"), ReviewQueue(order=TripleOrder.OLDEST, reviewer="anna")
    before = [[card.id for card in the_rest(room, queue)] for queue in (ben, oldest)]
    decide(room, ids[:80])
    after = [[card.id for card in the_rest(room, queue)] for queue in (ben, oldest)]
    assert after == [[i for i in order if i not in ids[:80]] for order in before]
    assert room.desk.suggestion(room.desk.card(ids[100]), "ben") is None


def test_next_goes_on_from_a_passed_card_and_previous_goes_back(room: Room):
    decide(room, fill(room, 120)[:80])
    first = room.desk.next_card(QUEUE)
    second = room.desk.next_card(QUEUE, after=first.id)
    third = room.desk.next_card(QUEUE, after=second.id)
    assert len({first.id, second.id, third.id}) == 3
    assert room.desk.previous_card(QUEUE, before=third.id).id == second.id
    room.desk.decide(third.id, Action.REJECT, "anna", reason="other")
    assert room.desk.next_card(QUEUE, after=third.id).id not in {first.id, second.id}


def test_an_own_order_keeps_to_the_filter(room: Room):
    decide(room, fill(room, 120)[:80])
    waiting = the_rest(room, QUEUE)
    wanted = TripleFilter(task_id=waiting[-1].triple.task_id)
    cards = the_rest(room, ReviewQueue(wanted, reviewer="anna"))
    assert {card.id for card in cards} == {card.id for card in waiting if card.triple.task_id == wanted.task_id}


def test_verdicts_that_are_taken_back_are_no_lesson(room: Room):
    ids = fill(room, 120)
    decide(room, ids[:40])
    room.desk.bulk([i for n, i in enumerate(ids[40:80]) if not odd(n)], Action.ACCEPT, "anna")
    room.desk.learner.wait()
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is not None
    room.desk.undo("anna")  # of 30 verdicts
    room.desk.learner.wait()
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is None


def test_what_was_learnt_is_there_again_in_a_new_process(room: Room):
    ids = fill(room, 120)
    decide(room, ids[:80])
    learner = OrderLearner(room.triples)
    record = room.desk.card(ids[100])
    assert learner.suggestion(record, "anna") is None  # the first question sets it to work
    learner.wait()
    assert learner.suggestion(record, "anna") == room.desk.suggestion(record, "anna")


def test_a_stopped_learner_learns_nothing(room: Room):
    ids = fill(room, 120)
    room.desk.learner.stop()
    decide(room, ids[:80])
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is None


@pytest.mark.parametrize("told", [True, False])
def test_only_what_tells_unseen_verdicts_better_than_the_calibration_is_kept(told: bool):
    # Two signs: "x" is on every second triple. Where rejections follow it, it is learnt; where they follow nothing, it is not.
    some = [{CALIBRATED: float(i % 7), "x": float(i % 2)} for i in range(120)]
    rejected = [one for i, one in enumerate(some) if (i % 2 if told else i % 3 == 0)]
    learnt = fit([one for one in some if one not in rejected or not told][:60], rejected)
    assert (learnt is not None) == told
    if learnt:
        assert learnt.seen["x"] == (60, 60)
        assert learnt.chance({"x": 1.0}) > 0.5 > learnt.chance({})


def test_the_evidence_is_of_the_texts_as_they_stand(room: Room):
    new: Triple = make_triples(1)[0]
    identifier = room.put([new])[0]
    before = evidence_of(room.desk.card(identifier))
    room.desk.decide(identifier, Action.SWAP, "anna")
    assert evidence_of(room.desk.card(identifier)) != before


def test_the_libraries_that_learn_are_not_loaded_before_there_is_something_to_learn():
    code = "import core.review.ordering, sys; print([name for name in ('numpy', 'sklearn', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_FOLDER, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
