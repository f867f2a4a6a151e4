"""Decisions are an append-only log; what holds now is derived from it.

Undo is a new entry that names the entry it takes back. `replay` is the only place that says what a log means, also where several people
read the same triple (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.domain.checks import Nearness
from core.domain.triple import Flag, Texts, Triple, Verdict

MINED = "mine-"  # how the batch ids of a mining job begin: written in a reviewer's name, but no step at the desk


class Action(StrEnum):
    """What a reviewer did to one triple."""

    ACCEPT = "accept"
    REJECT = "reject"
    SKIP = "skip"
    FLAG = "flag"
    EDIT = "edit"
    SWAP = "swap"
    PROMOTE = "promote"
    UNDO = "undo"


class RejectReason(StrEnum):
    """Why a triple was rejected; one key each on the review page."""

    FALSE_NEGATIVE = "negative answers too"
    NOT_ANSWERED = "positive does not answer"
    TOO_EASY = "negative is too easy"
    WRONG_LANGUAGE = "wrong language"
    UNNATURAL = "unnatural or broken text"
    DUPLICATE = "duplicate"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of the log. `id` grows with time; `texts` is set by what changes them."""

    triple_id: str
    reviewer: str
    action: Action
    reason: str = ""
    texts: Texts | None = None
    undoes: int | None = None  # id of the entry an undo takes back
    batch_id: str | None = None  # entries of one bulk action share it and are undone as one
    created_at: str = ""
    id: int | None = None
    readers: int = 1  # of a verdict: 1 counts at once; n >= 2 is one of n that are given without knowing the others
    adjudicates: bool = False  # a verdict that ends a dispute
    shown: tuple[str, ...] = ()  # what the checks said on screen when it was taken


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict of one of several independent readers of a triple."""

    reviewer: str
    verdict: Verdict
    reason: str = ""
    decided_at: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one press of a button wrote: one entry, or all entries of a bulk action."""

    action: Action
    entries: int
    first_id: int
    created_at: str
    triple_id: str  # of a bulk action: one of them
    batch_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of a triple after its log: verdict, texts now, and who decided last."""

    verdict: Verdict = Verdict.PENDING
    texts: Texts | None = None  # None while the original texts hold
    reason: str = ""
    reviewer: str = ""
    flagged: bool = False
    skipped_by: tuple[str, ...] = ()
    decided_at: str = ""
    readings: tuple[Reading, ...] = ()  # in order; the verdict they give together is above, pending until the last one is there


@dataclass(frozen=True, slots=True)
class TripleRecord:
    """A triple as the store knows it: as written, what holds of it now, and what the checks say."""

    triple: Triple
    number: int  # order of arrival, from 1
    standing: Standing = Standing()
    flags: tuple[Flag, ...] = ()
    nearness: Nearness | None = None  # of the texts as they stand; None while the baseline encoder has not read them

    @property
    def id(self) -> str:
        """Id of the triple as written; edits do not change it."""
        return self.triple.id

    @property
    def texts(self) -> Texts:
        """The texts as they stand now."""
        return self.standing.texts or self.triple.texts

    @property
    def edited(self) -> bool:
        """Whether the texts differ from the ones that were written."""
        return self.standing.texts is not None and self.standing.texts != self.triple.texts

    @property
    def suspicion(self) -> float:
        """Sum of the weights of all flags; what the queue sorts by is core.domain.suspicion."""
        return sum(flag.weight for flag in self.flags)


def replay(log: Iterable[Decision]) -> Standing:
    """Derive the standing of ONE triple from its entries in order of id."""
    standing, asked, settled = Standing(), 1, False
    for entry in _holding(list(log)):
        if entry.action in VERDICTS and entry.readers > 1:
            asked = entry.readers
            others = tuple(reading for reading in standing.readings if reading.reviewer != entry.reviewer)
            mine = Reading(entry.reviewer, VERDICTS[entry.action], entry.reason, entry.created_at)
            standing = replace(standing, readings=(*others, mine))
        elif entry.action in TEXT_ACTIONS and len(standing.readings) < asked:
            # Somebody rewrote what is still being read: earlier verdicts were on another text, and their readers are asked again.
            standing = replace(standing, texts=entry.texts, readings=tuple(r for r in standing.readings if r.reviewer == entry.reviewer))
        else:
            settled = settled or entry.action in VERDICTS
            standing = _apply(standing, entry)
    return standing if settled else _together(standing, asked)


def _holding(entries: Sequence[Decision]) -> list[Decision]:
    undone = {d.undoes for d in entries if d.action is Action.UNDO}
    return [entry for entry in entries if entry.action is not Action.UNDO and entry.id not in undone]


def _together(standing: Standing, asked: int) -> Standing:
    """The verdict of independent readings: pending until all are there, disputed where they differ."""
    readings = standing.readings
    if not readings or len(readings) < asked:
        return standing
    last = readings[-1]
    if len({reading.verdict for reading in readings}) > 1:
        return replace(standing, verdict=Verdict.DISPUTED, reviewer=last.reviewer, decided_at=last.decided_at)
    return replace(standing, verdict=last.verdict, reason=last.reason, reviewer=last.reviewer, decided_at=last.decided_at)


def hidden_from(viewer: str, log: Iterable[Decision]) -> set[int | None]:
    """Ids of others' verdicts on ONE triple that a reviewer may not know yet: those of a reading that is still open."""
    entries = list(log)
    open_still = replay(entries).verdict is Verdict.PENDING
    return {d.id for d in entries if open_still and d.readers > 1 and d.action in VERDICTS and d.reviewer != viewer}


def informed_readers(log: Iterable[Decision]) -> set[str]:
    """Who read ONE triple again, or late, when others' readings had been open to all and one was taken back: not independent any more."""
    entries = list(log)
    undone = {entry.undoes for entry in entries}
    were_open: set[str] = set()  # reviewers whose readings everybody could see at some time
    informed: dict[str, bool] = {}
    for entry, _, after in changes_of(entries):
        if entry.action in VERDICTS and entry.readers > 1 and entry.id not in undone:
            informed[entry.reviewer] = bool(were_open - {entry.reviewer})  # who reads again replaces the own reading
        if after.verdict is not Verdict.PENDING:
            were_open |= {reading.reviewer for reading in after.readings}
    return {reviewer for reviewer, knew in informed.items() if knew}


def changes_of(log: Iterable[Decision]) -> list[tuple[Decision, Standing, Standing]]:
    """Each entry of ONE triple with what held before it and after it: what a history shows."""
    entries = list(log)
    states = [replay(entries[:i]) for i in range(len(entries) + 1)]
    return list(zip(entries, states, states[1:], strict=False))


VERDICTS = {Action.ACCEPT: Verdict.ACCEPTED, Action.REJECT: Verdict.REJECTED}
TEXT_ACTIONS = (Action.EDIT, Action.SWAP, Action.PROMOTE)


def _apply(now: Standing, entry: Decision) -> Standing:
    match entry.action:
        case Action.ACCEPT | Action.REJECT:
            return replace(now, verdict=VERDICTS[entry.action], reason=entry.reason, reviewer=entry.reviewer, decided_at=entry.created_at)
        case Action.EDIT | Action.SWAP | Action.PROMOTE:
            return replace(now, texts=entry.texts)
        case Action.FLAG:
            return replace(now, flagged=True)
        case _:  # skip: a reviewer is named once
            return replace(now, skipped_by=(*(r for r in now.skipped_by if r != entry.reviewer), entry.reviewer))
