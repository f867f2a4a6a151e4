"""Two versions of one prompt, asked for the same things: the same tasks, slots and languages, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

from core.domain.groups import TaskGroup
from core.domain.jobs import Job
from core.domain.prompt import PromptVersion
from core.domain.request import RequestState
from core.domain.triple import Verdict
from core.domain.yields import Yield


@dataclass(frozen=True, slots=True)
class ComparedRequest:
    """What became of one request of a comparison. `draw` is the number that both requests of a pair were drawn with."""

    key: str
    draw: tuple[str, int]  # task id and sampling seed
    language: str
    state: RequestState
    reason: str = ""  # of a failure
    triple_id: str | None = None  # None where it was not read, or repeated an older triple
    verdict: Verdict | None = None
    flagged: bool = False

    @property
    def parsed(self) -> bool:
        """Whether its reply could be read."""
        return self.state is RequestState.PARSED


RequestPair = tuple[ComparedRequest, ComparedRequest]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something is true of both requests of a pair, of one only, of none."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def pairs(self) -> int:
        """All pairs that were compared."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def p_value(self) -> float:
        """Two-sided exact sign test over the pairs that differ (McNemar's exact test); 1 where none does."""
        differing = self.first_only + self.second_only
        fewer = min(self.first_only, self.second_only)
        chance: float = 2 * sum(comb(differing, k) for k in range(fewer + 1)) / 2**differing  # whole numbers: a float ends at 2**1024
        return min(1.0, chance)


def tally(pairs: Sequence[RequestPair], holds: Callable[[ComparedRequest], bool]) -> Tally:
    """Count the pairs by where `holds` is true."""
    found = [(holds(first), holds(second)) for first, second in pairs]
    return Tally(*(found.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))))


@dataclass(frozen=True, slots=True)
class PromptComparison:
    """A comparison as it stands: jobs, versions and yields in the same order, the one that was there first before the newer."""

    id: str
    group: TaskGroup
    jobs: tuple[Job, Job]
    versions: tuple[PromptVersion, PromptVersion]
    yields: tuple[Yield, Yield]
    pairs: tuple[RequestPair, ...]

    @property
    def ended_pairs(self) -> list[RequestPair]:
        """Pairs of which both requests are over."""
        over = (RequestState.PARSED, RequestState.FAILED)
        return [pair for pair in self.pairs if all(one.state in over for one in pair)]

    @property
    def judged_pairs(self) -> list[RequestPair]:
        """Pairs of which a person judged both triples, or one while the other's request brought none."""
        return [pair for pair in self.ended_pairs if all(_settled(one) for one in pair) and any(one.triple_id for one in pair)]


def _settled(one: ComparedRequest) -> bool:
    return one.triple_id is None or one.verdict in (Verdict.ACCEPTED, Verdict.REJECTED)
