"""What requests brought: how many were read, what people made of it, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum


class YieldAxis(StrEnum):
    """What yields are told apart by."""

    PROMPT = "prompt version"
    GROUP = "group"
    LANGUAGE = "language"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Yield:
    """`name` is a prompt version's id, a group, a language or a model; "" where a request has none.

    Requests are counted by outcome, and what they brought (triples, or the tasks of a brainstorm) by verdict.
    """

    name: str
    sent: int = 0  # requests that left
    replies: int = 0
    parsed: int = 0
    failed: int = 0
    made: int = 0  # triples or tasks, duplicates not counted
    flagged: int = 0  # by at least one check
    accepted: int = 0
    rejected: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    known_cost: float = 0.0  # US dollars, of the replies whose price is known
    unpriced: int = 0  # replies whose price is unknown

    @property
    def waiting(self) -> int:
        """Not decided yet."""
        return self.made - self.judged

    @property
    def judged(self) -> int:
        """Accepted or rejected."""
        return self.accepted + self.rejected

    @property
    def cost(self) -> float | None:
        """US dollars; None where the price of at least one reply is unknown."""
        return None if self.unpriced else self.known_cost

    @property
    def cost_per_accepted(self) -> float | None:
        """US dollars for one that was accepted, what failed included; None where a price is unknown or nothing was accepted yet."""
        return None if self.cost is None or not self.accepted else self.cost / self.accepted


def total(yields: Iterable[Yield], name: str = "all") -> Yield:
    """Everything together."""
    found = list(yields)
    counts = [field.name for field in fields(Yield) if field.name != "name"]
    return Yield(name, **{count: sum(getattr(one, count) for one in found) for count in counts})
