"""Decisions are an append-only log; what holds now is derived from it.

Undo is a new entry that names the entry it takes back. `replay` is the only place that says what a log means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from core.domain.triple import Flag, Texts, Triple, Verdict


class Action(StrEnum):
    """What a reviewer did to one triple."""

    ACCEPT = "accept"
    REJECT = "reject"
    SKIP = "skip"
    FLAG = "flag"
    EDIT = "edit"
    SWAP = "swap"
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
    """One entry of the log. `id` grows with time; `texts` is set by edit and swap."""

    triple_id: str
    reviewer: str
    action: Action
    reason: str = ""
    texts: Texts | None = None
    undoes: int | None = None  # id of the entry an undo takes back
    batch_id: str | None = None  # entries of one bulk action share it and are undone as one
    created_at: str = ""
    id: int | None = None


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


@dataclass(frozen=True, slots=True)
class TripleRecord:
    """A triple as the store knows it: as written, what holds of it now, and what the checks say."""

    triple: Triple
    number: int  # order of arrival, from 1
    standing: Standing = Standing()
    flags: tuple[Flag, ...] = ()

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
        """Sum of the weights of all flags; the queue's default order."""
        return sum(flag.weight for flag in self.flags)


def replay(log: Iterable[Decision]) -> Standing:
    """Derive the standing of ONE triple from its entries in order of id."""
    entries = list(log)
    undone = {d.undoes for d in entries if d.action is Action.UNDO}
    standing = Standing()
    for entry in entries:
        if entry.action is Action.UNDO or entry.id in undone:
            continue
        standing = _apply(standing, entry)
    return standing


VERDICTS = {Action.ACCEPT: Verdict.ACCEPTED, Action.REJECT: Verdict.REJECTED}


def _apply(now: Standing, entry: Decision) -> Standing:
    match entry.action:
        case Action.ACCEPT | Action.REJECT:
            return replace(now, verdict=VERDICTS[entry.action], reason=entry.reason, reviewer=entry.reviewer, decided_at=entry.created_at)
        case Action.EDIT | Action.SWAP:
            return replace(now, texts=entry.texts)
        case Action.FLAG:
            return replace(now, flagged=True)
        case _:  # skip: a reviewer is named once
            return replace(now, skipped_by=(*(r for r in now.skipped_by if r != entry.reviewer), entry.reviewer))
