"""Several people at one queue: who may take which card, and which triples more than one of them reads."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.identity import ID_LENGTH

HEX_DIGITS = 8  # of an id; the share is kept to 1 in 4 billion
MOST_READERS = 9


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """What a workspace asks of its reviewers.

    Ids are hashes of content, so their first digits draw the share by themselves: everybody overlaps on the same triples, and a larger
    share contains the smaller one.
    """

    overlap_share: float = 0.0  # of all triples, 0 to 1: read by several
    readers: int = 2  # of each of those
    lease_minutes: float = 5.0  # how long a card stays somebody's without a sign of life

    @property
    def overlap_limit(self) -> str:
        """Triples with an id below this text are read by several; "" is below every id, "g" above."""
        if self.overlap_share <= 0:
            return ""
        return "g" if self.overlap_share >= 1 else f"{int(self.overlap_share * 16**HEX_DIGITS):0{HEX_DIGITS}x}".ljust(ID_LENGTH, "0")

    def readers_of(self, triple_id: str) -> int:
        """How many independent verdicts a triple needs."""
        return self.readers if triple_id < self.overlap_limit else 1


@dataclass(frozen=True, slots=True)
class Seat:
    """One reviewer in one window, at one moment: whose leases count as one's own, and which have run out."""

    reviewer: str
    holder: str  # of the window; two windows of one reviewer never hold the same card
    at: str  # ISO 8601, UTC
    rules: ReviewRules = ReviewRules()
