from __future__ import annotations

from core.domain.review import Action, Decision, Standing, TripleRecord, hidden_from, informed_readers, replay
from core.domain.triple import Flag, Texts, Verdict
from tests.factories import make_triple

NEW = Texts("q", "p", "n")


def log(*entries: tuple) -> list[Decision]:
    """(action, reviewer[, undoes]) -> entries with ids 1, 2, …"""
    return [
        Decision(
            "t",
            e[1],
            e[0],
            "why" if e[0] is Action.REJECT else "",
            NEW if e[0] is Action.EDIT else None,
            e[2] if len(e) > 2 else None,
            id=i,
        )
        for i, e in enumerate(entries, 1)
    ]


def test_an_empty_log_leaves_a_triple_pending():
    assert replay([]) == Standing()


def test_the_last_verdict_holds():
    standing = replay(log((Action.ACCEPT, "ann"), (Action.REJECT, "bob")))
    assert (standing.verdict, standing.reason, standing.reviewer) == (Verdict.REJECTED, "why", "bob")


def test_an_undo_takes_back_only_the_entry_it_names():
    standing = replay(log((Action.ACCEPT, "ann"), (Action.REJECT, "bob"), (Action.UNDO, "bob", 2)))
    assert (standing.verdict, standing.reviewer) == (Verdict.ACCEPTED, "ann")


def test_an_edit_keeps_the_verdict_and_its_undo_brings_the_original_back():
    entries = log((Action.ACCEPT, "ann"), (Action.EDIT, "bob"), (Action.UNDO, "bob", 2))
    assert replay(entries[:2]).texts == NEW
    assert replay(entries[:2]).reviewer == "ann"
    assert replay(entries).texts is None


def test_who_skips_twice_is_named_once():
    assert replay(log((Action.SKIP, "ann"), (Action.SKIP, "bob"), (Action.SKIP, "ann"))).skipped_by == ("bob", "ann")


def test_a_flag_survives_a_verdict():
    assert replay(log((Action.FLAG, "ann"), (Action.ACCEPT, "bob"))).flagged


def test_a_record_shows_the_texts_of_now_and_adds_up_its_flags():
    record = TripleRecord(make_triple(), 1, Standing(texts=NEW), (Flag("a", "m", weight=0.5), Flag("b", "m", weight=0.25)))
    assert record.texts == NEW
    assert record.edited
    assert record.suspicion == 0.75


def test_texts_edited_back_to_the_original_do_not_count_as_edited():
    triple = make_triple()
    assert not TripleRecord(triple, 1, Standing(texts=triple.texts)).edited


# ---- several readers


def reading(number: int, who: str, action: Action, **fields) -> Decision:
    return Decision("t", who, action, "why" if action is Action.REJECT else "", id=number, readers=2, **fields)


def test_one_of_two_readings_leaves_a_triple_pending_and_two_equal_ones_decide():
    first, second = reading(1, "ann", Action.REJECT), reading(2, "bob", Action.REJECT)
    assert replay([first]).verdict is Verdict.PENDING
    both = replay([first, second])
    assert (both.verdict, both.reason, both.reviewer) == (Verdict.REJECTED, "why", "bob")


def test_a_reader_who_reads_again_counts_once():
    standing = replay([reading(1, "ann", Action.REJECT), reading(2, "ann", Action.ACCEPT)])
    assert standing.verdict is Verdict.PENDING
    assert [r.verdict for r in standing.readings] == [Verdict.ACCEPTED]


def test_readers_who_differ_leave_a_dispute_that_a_plain_verdict_settles_whatever_the_order():
    differ = [reading(1, "ann", Action.REJECT), reading(3, "bob", Action.ACCEPT)]
    assert replay(differ).verdict is Verdict.DISPUTED
    settled = Decision("t", "cem", Action.ACCEPT, id=2, adjudicates=True)
    for log_of_three in ([differ[0], settled, differ[1]], [*differ, settled]):
        standing = replay(log_of_three)
        assert (standing.verdict, standing.reviewer, len(standing.readings)) == (Verdict.ACCEPTED, "cem", 2)


def test_an_edit_drops_the_readings_of_others_while_it_is_read_and_none_after():
    edit = Decision("t", "bob", Action.EDIT, texts=NEW, id=2)
    mine, other = reading(1, "ann", Action.ACCEPT), reading(3, "bob", Action.ACCEPT)
    assert replay([mine, edit]).readings == ()
    assert [r.reviewer for r in replay([mine, edit, other]).readings] == ["bob"]
    late = Decision("t", "cem", Action.EDIT, texts=NEW, id=4)
    assert replay([mine, other, late]).verdict is Verdict.ACCEPTED
    undone = Decision("t", "bob", Action.UNDO, undoes=2, id=5)
    assert replay([mine, edit, undone]).readings == replay([mine]).readings


def test_an_open_reading_is_hidden_from_all_but_its_reader():
    log_of_one = [reading(1, "ann", Action.REJECT), Decision("t", "bob", Action.FLAG, id=2)]
    assert (hidden_from("ann", log_of_one), hidden_from("bob", log_of_one)) == (set(), {1})
    assert hidden_from("bob", [*log_of_one, reading(3, "bob", Action.ACCEPT)]) == set()


def test_a_reading_after_the_others_were_open_to_all_is_informed_until_it_is_taken_back():
    both = [reading(1, "ann", Action.ACCEPT), reading(2, "bob", Action.REJECT)]
    undone = Decision("t", "bob", Action.UNDO, undoes=2, id=3)
    again = reading(4, "bob", Action.ACCEPT)
    assert informed_readers(both) == set()
    assert informed_readers([*both, undone]) == set()
    assert informed_readers([*both, undone, again]) == {"bob"}
    assert informed_readers([*both, undone, reading(4, "cem", Action.ACCEPT)]) == {"cem"}  # a dispute is on everybody's screen
    assert informed_readers([*both, undone, again, Decision("t", "bob", Action.UNDO, undoes=4, id=5)]) == set()


def test_who_takes_back_a_reading_nobody_could_answer_to_stays_independent():
    slip = [reading(1, "ann", Action.ACCEPT), Decision("t", "ann", Action.UNDO, undoes=1, id=2), reading(3, "ann", Action.REJECT)]
    assert informed_readers([*slip, reading(4, "bob", Action.REJECT)]) == set()


def test_a_verdict_in_bulk_opens_the_readings_below_it_even_after_its_undo():
    bulk = [reading(1, "ann", Action.ACCEPT), Decision("t", "cem", Action.ACCEPT, id=2), Decision("t", "cem", Action.UNDO, undoes=2, id=3)]
    assert informed_readers([*bulk, reading(4, "bob", Action.ACCEPT)]) == {"bob"}
