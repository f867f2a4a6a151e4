"""What a reviewer's own verdicts teach: an order of one's own and a suggestion, never a decision."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.review import Action, TripleRecord
from core.domain.triple import Flag, Triple, Verdict
from core.errors import StorageError
from core.review.ordering import CALIBRATED, LEAST_VERDICTS, OrderLearner, evidence_of, fit
from core.settings import PROJECT_FOLDER
from core.storage.triples import TripleStore
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


@pytest.mark.parametrize("pool", [12, 40, 2000])
def test_next_and_previous_go_once_around_all_that_waits_and_not_only_what_was_ranked(room: Room, pool: int):
    before = [card.id for card in the_rest(room, QUEUE)] if (ids := fill(room, 120)) else []
    room.desk.learner = OrderLearner(room.triples, pool=pool)
    decide(room, ids[:80])
    as_suspicious = [i for i in before if i not in ids[:80]]
    ranked, after = as_suspicious[:pool], as_suspicious[pool:]
    forwards = [card.id for card in the_rest(room, QUEUE)]
    assert forwards == sorted(ranked, key=lambda i: not room.desk.card(i).flags) + after
    assert room.desk.next_card(QUEUE, after=forwards[-1]).id == forwards[0]
    backwards = [room.desk.previous_card(QUEUE, before=forwards[0]).id]
    while len(backwards) < len(forwards):
        backwards.append(room.desk.previous_card(QUEUE, before=backwards[-1]).id)
    assert backwards == forwards[::-1]


def test_a_card_among_the_rest_is_left_to_the_rest_after_a_decision(room: Room):
    room.desk.learner = OrderLearner(room.triples, pool=12)
    decide(room, fill(room, 120)[:80])
    cards = [card.id for card in the_rest(room, QUEUE)]
    room.desk.decide(cards[20], Action.ACCEPT, "anna")
    assert room.desk.next_card(QUEUE, after=cards[20]).id == cards[21]
    assert room.desk.previous_card(QUEUE, before=cards[21]).id == cards[19]
    assert room.desk.previous_card(QUEUE, before=cards[12]).id == cards[11]


def test_a_look_ahead_is_no_place_to_go_on_from(room: Room):
    decide(room, fill(room, 120)[:80])
    first = room.desk.next_card(QUEUE)
    ahead = room.desk.peek(QUEUE, after=first.id)
    assert ahead.id != first.id
    assert room.desk.next_card(QUEUE, after=ahead.id).id == first.id  # it was not on the desk: the order is begun at its start
    assert room.desk.next_card(QUEUE, after=first.id).id == ahead.id


def test_an_own_order_keeps_to_the_filter(room: Room):
    decide(room, fill(room, 120)[:80])
    waiting = the_rest(room, QUEUE)
    wanted = TripleFilter(task_id=waiting[-1].triple.task_id)
    cards = the_rest(room, ReviewQueue(wanted, reviewer="anna"))
    assert {card.id for card in cards} == {card.id for card in waiting if card.triple.task_id == wanted.task_id}


def test_verdicts_that_are_taken_back_are_no_lesson(room: Room):
    ids = fill(room, 120)
    decide(room, ids[:60])
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is not None
    for _ in range(20):
        room.desk.undo("anna")
        room.desk.learner.wait()
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is None


def test_what_was_decided_in_bulk_is_no_lesson_as_nobody_read_it(room: Room):
    ids = fill(room, 120)
    decide(room, ids[:40])
    for action, some in ((Action.ACCEPT, [1, 2, 3]), (Action.REJECT, [0])):
        room.desk.bulk([i for n, i in enumerate(ids[40:80]) if n % 4 in some], action, "anna", reason="other")
    room.desk.learner.wait()
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") is None
    decide(room, ids[80:100])
    suggestion = room.desk.suggestion(room.desk.card(ids[100]), "anna")
    assert suggestion is not None
    assert suggestion.learnt_from == 60
    room.desk.bulk(ids[:40], Action.ACCEPT, "anna")  # over what she had rejected one by one
    room.desk.learner.wait()
    assert room.triples.count(TripleFilter(reviewer="anna", singly=True)) == 50
    assert room.triples.count(TripleFilter(reviewer="anna", singly=False)) == 50


def test_a_fit_that_fails_is_logged_and_the_last_good_one_holds(room: Room, caplog: pytest.LogCaptureFixture):
    class Flaky(TripleStore):
        broken = False

        def leading(self, *asked):
            if self.broken:
                raise StorageError("The workspace is busy.", hint="Wait.")
            return super().leading(*asked)

    ids, flaky = fill(room, 120), Flaky(room.decisions._database)
    room.desk.learner = OrderLearner(flaky)
    decide(room, ids[:80])
    before = room.desk.suggestion(room.desk.card(ids[100]), "anna")
    assert before is not None
    flaky.broken = True
    with caplog.at_level(logging.ERROR, "core.review.ordering"):
        decide(room, ids[80:90])
    assert ["The workspace is busy" in record.exc_text for record in caplog.records] == [True]
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna") == before
    flaky.broken = False
    decide(room, ids[90:100])
    assert room.desk.suggestion(room.desk.card(ids[100]), "anna").learnt_from == 100


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
