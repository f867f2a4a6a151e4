from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from core.domain.filters import ReviewQueue, TripleFilter, TripleOrder
from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.domain.review import MINED, Action, Decision
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, NothingToDo
from core.review.desk import ReviewDesk
from core.storage.decisions import DecisionStore
from core.storage.prompts import PromptStore
from tests.core.review.conftest import no_shouting
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


def test_an_edit_stays_while_a_verdict_of_somebody_else_rests_on_it(room):
    (triple,) = room.put([make_triple()])
    room.desk.decide(triple, Action.EDIT, "ann", texts=Texts("q", "p", "n"))
    room.desk.decide(triple, Action.ACCEPT, "bob")
    before = room.desk.history(triple)
    for undo in (lambda: room.desk.undo("ann"), lambda: room.desk.undo_step("ann", room.desk.steps("ann")[0])):
        with pytest.raises(BadInput, match="bob gave a verdict") as refused:
            undo()
        assert "Edit the texts again" in refused.value.hint
    assert room.desk.history(triple) == before
    room.desk.undo("bob")
    room.desk.undo("ann")
    assert room.desk.card(triple).texts == make_triple().texts


def test_neither_an_older_verdict_nor_ones_own_keeps_an_edit(room):
    (triple,) = room.put([make_triple()])
    room.desk.decide(triple, Action.ACCEPT, "bob")
    room.desk.decide(triple, Action.EDIT, "ann", texts=Texts("q", "p", "n"))
    room.desk.decide(triple, Action.REJECT, "ann", reason="duplicate")
    room.desk.undo_step("ann", room.desk.steps("ann")[1])
    assert room.desk.card(triple).texts == make_triple().texts
    assert room.desk.card(triple).standing.verdict is Verdict.REJECTED


def test_of_many_edits_those_are_undone_that_nobody_used_and_of_the_rest_it_is_told_who_did(room):
    ids = room.put([make_triple(f"question {i}", negative=None) for i in range(3)])
    texts = [room.desk.card(i).texts for i in ids]
    edits = [
        Decision(i, "ann", Action.EDIT, texts=Texts(t.query, t.positive, "mined"), batch_id=MINED + "1")
        for i, t in zip(ids, texts, strict=True)
    ]
    room.decisions.append(edits)
    for i in ids[:2]:
        room.desk.decide(i, Action.ACCEPT, "bob")
    (step,) = room.desk.steps("ann", mined=True)
    assert [record.id for record in room.desk.undo_step("ann", step)] == ids[2:]
    assert [room.desk.card(i).texts.negative for i in ids] == ["mined", "mined", None]
    (rest,) = room.desk.steps("ann", mined=True)
    assert room.desk.in_use("ann", rest) == ["bob gave a verdict on this triple with the texts you gave it."] * 2
    with pytest.raises(BadInput, match=r"All 2 triples are in use\. Of the first: bob gave a verdict"):
        room.desk.undo_step("ann", rest)


def test_ones_own_verdict_keeps_a_mined_negative_too_as_one_saw_nothing_but_it(room):
    (triple,) = room.put([make_triple(negative=None)])
    mined = replace(room.desk.card(triple).texts, negative="mined")
    room.decisions.append([Decision(triple, "ann", Action.EDIT, texts=mined, batch_id=MINED + "1")])
    room.desk.decide(triple, Action.ACCEPT, "ann")
    (step,) = (step for step in room.desk.steps("ann", mined=True) if step.batch_id)
    assert room.desk.in_use("ann", step) == ["You gave a verdict on this triple with the texts that were mined for it."]
    with pytest.raises(BadInput, match="You gave a verdict"):
        room.desk.undo_step("ann", step)
    room.desk.undo("ann")
    room.desk.undo_step("ann", step)
    assert room.desk.card(triple).texts.negative is None


def test_flags_are_of_the_texts_that_hold_where_somebody_edits_while_others_are_checked(room):
    (triple,) = room.put([make_triple()])

    def slow_check(checked):
        if checked.texts.query == "LOUD":
            room.desk.decide(triple, Action.EDIT, "bob", texts=Texts("calm", "p", "n"))
        return no_shouting(checked)

    ann = ReviewDesk(room.triples, room.decisions, slow_check, team=room.desk.team)
    ann.decide(triple, Action.EDIT, "ann", texts=Texts("LOUD", "p", "n"))
    assert room.desk.card(triple).texts.query == "calm"
    assert room.desk.card(triple).flags == ()


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


def test_nobody_decides_between_the_look_and_the_writing_of_a_bulk_action(room):
    first, second = room.put(make_triples(2))
    room.desk.decide(first, Action.REJECT, "bob", reason="duplicate")
    path = room.decisions._database.url.removeprefix("sqlite:///")
    refused: list[str] = []

    class Watched(DecisionStore):
        """Another writer comes just before the entries are written."""

        def append(self, entries, **options):
            with pytest.raises(sqlite3.OperationalError) as error:
                sqlite3.connect(path, timeout=0).execute("BEGIN IMMEDIATE")
            refused.append(str(error.value))
            return super().append(entries, **options)

    desk = ReviewDesk(room.triples, Watched(room.decisions._database), lambda triple: [], team=room.desk.team)
    assert desk.bulk([first, second], Action.ACCEPT, "ann", only_pending=True).changed == (second,)
    desk.undo("ann")
    desk.decide(second, Action.ACCEPT, "ann")
    assert refused == ["database is locked"] * 3


def test_what_mining_wrote_is_no_step_of_the_desk_and_never_undone_twice(room):
    a, b, c = room.put([make_triple(f"question {i}", negative=None) for i in range(3)])

    def mine(triple: str) -> None:
        texts = room.desk.card(triple).texts
        edit = Decision(triple, "ann", Action.EDIT, texts=Texts(texts.query, texts.positive, "mined"), batch_id=MINED + "1")
        room.decisions.append([edit])

    mine(a)
    room.desk.decide(c, Action.ACCEPT, "ann")
    mine(b)  # the job goes on while ann decides
    assert [step.action for step in room.desk.steps("ann", mined=True)] == [Action.ACCEPT, Action.EDIT]  # by when each was begun
    assert [record.id for record in room.desk.undo("ann")] == [c]
    with pytest.raises(NothingToDo):
        room.desk.undo("ann")
    assert [record.id for record in room.desk.undo_step("ann", room.desk.steps("ann", mined=True)[0])] == [a, b]
    mine(b)
    assert [record.id for record in room.desk.undo_step("ann", room.desk.steps("ann", mined=True)[0])] == [b]
    assert [d.action for d in room.desk.history(a)] == [Action.EDIT, Action.UNDO]
    assert room.desk.steps("ann", mined=True) == []


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


def test_what_came_from_no_prompt_is_like_others_that_did_not_only(room):
    prompts = PromptStore(room.decisions._database)
    version = prompts.add(TaskGroup.SHORT_LONG, PromptStep.EXAMPLE, "Write one.", note="", parent_id=None).id
    bare = [make_triple(f"QUESTION {i}") for i in range(2)]
    prompted = [make_triple(f"QUESTION {i}", prompt_version_id=version) for i in range(2, 4)]
    room.put([*bare, *prompted])
    assert room.desk.alike(room.desk.card(bare[0].id)).ids == (bare[1].id,)
    assert room.desk.alike(room.desk.card(prompted[0].id)).ids == (prompted[1].id,)


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
