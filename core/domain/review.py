"""Decisions are an append-only log; what holds now is derived from it.

Undo is a new entry that names the entry it takes back. `replay` is the only place that says what a log means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.domain.triple import Texts, Verdict


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


def _apply(now: Standing, entry: Decision) -> Standing:
    verdicts = {Action.ACCEPT: Verdict.ACCEPTED, Action.REJECT: Verdict.REJECTED}
    if entry.action in verdicts:
        return Standing(
            verdicts[entry.action], now.texts, entry.reason, entry.reviewer, now.flagged, now.skipped_by, entry.created_at
        )
    if entry.action in (Action.EDIT, Action.SWAP):
        return Standing(now.verdict, entry.texts, now.reason, now.reviewer, now.flagged, now.skipped_by, now.decided_at)
    if entry.action is Action.FLAG:
        return Standing(now.verdict, now.texts, now.reason, now.reviewer, True, now.skipped_by, now.decided_at)
    skipped = (*now.skipped_by, entry.reviewer) if entry.reviewer not in now.skipped_by else now.skipped_by
    return Standing(now.verdict, now.texts, now.reason, now.reviewer, now.flagged, skipped, now.decided_at)
