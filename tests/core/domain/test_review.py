from __future__ import annotations

from core.domain.review import Action, Decision, Standing, TripleRecord, replay
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
