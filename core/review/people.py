"""The people at one queue: the rules of the workspace, who holds which card, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime

from core.domain.filters import ReviewQueue
from core.domain.people import MOST_READERS, ReviewRules, Seat
from core.domain.review import TripleRecord
from core.errors import BadInput
from core.review.agreement import AgreementReport, report_agreement
from core.storage.decisions import DecisionStore
from core.storage.leases import LeaseStore
from core.storage.preferences import PreferenceStore

RULES = "review-rules"
LEASE_MINUTES = (1, 120)


class ReviewTeam:
    """Who reads what."""

    def __init__(
        self,
        decisions: DecisionStore,
        leases: LeaseStore,
        preferences: PreferenceStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._decisions = decisions
        self._leases = leases
        self._preferences = preferences
        self._clock = clock

    def rules(self) -> ReviewRules:
        """The rules of this workspace."""
        return ReviewRules(**self._preferences.get(RULES, {}))

    def set_rules(self, rules: ReviewRules) -> None:
        """Change the rules for what is decided from now on; verdicts that are there keep theirs.

        Raises:
            BadInput: a number is out of its range.
        """
        if not 0 <= rules.overlap_share <= 1:
            raise BadInput(f"A share of {rules.overlap_share:g} cannot be read by several.", hint="Give 0 to 100 %.")
        if not 2 <= rules.readers <= MOST_READERS:
            raise BadInput(f"{rules.readers} readers of one triple are not possible.", hint=f"Give 2 to {MOST_READERS}.")
        if not LEASE_MINUTES[0] <= rules.lease_minutes <= LEASE_MINUTES[1]:
            raise BadInput(
                f"A card cannot be held for {rules.lease_minutes:g} min.", hint=f"Give {LEASE_MINUTES[0]} to {LEASE_MINUTES[1]} minutes."
            )
        self._preferences.set(RULES, asdict(rules))

    def seat(self, queue: ReviewQueue) -> Seat:
        """The queue's reviewer and window, now. A dispute is settled by one, so its cards have one place."""
        rules = self.rules()
        if queue.disputed:
            rules = ReviewRules(0.0, rules.readers, rules.lease_minutes)
        return Seat(queue.reviewer, queue.holder, self._clock().isoformat(timespec="milliseconds"), rules)

    def taking(self) -> AbstractContextManager[None]:
        """Find a free card and `hold` it inside this block, or look and decide: nobody else takes a card or decides in between."""
        return self._leases.taking()

    def hold(self, record: TripleRecord, seat: Seat) -> bool:
        """Take a card for a window; False where others have all its places. Who read it and looks again takes none of them."""
        read, needed = [reading.reviewer for reading in record.standing.readings], seat.rules.readers_of(record.id)
        if len(read) >= needed:
            return self._leases.hold(record.id, seat)
        return self._leases.hold(record.id, seat, places=needed - sum(name != seat.reviewer for name in read), done=read)

    def renew(self, queue: ReviewQueue) -> bool:
        """A sign of life: the window keeps its card. False where it ran out."""
        return self._leases.renew(self.seat(queue))

    def release(self, holder: str) -> None:
        """The window is gone: others may have its card."""
        self._leases.release(holder)

    def others_at(self, record: TripleRecord, queue: ReviewQueue) -> list[str]:
        """Other reviewers who have a card on the desk now."""
        return [name for name in self._leases.reviewers_of(record.id, self.seat(queue).at) if name != queue.reviewer]

    def agreement(self) -> AgreementReport:
        """Agreement on all triples that several read independently, as far as all their readers have decided."""
        return report_agreement(self._decisions.read_by_several())

    def log_length(self) -> int:
        """Grows with every decision: while it stands still, an agreement that was computed holds."""
        return self._decisions.newest_id()
