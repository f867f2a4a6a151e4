"""How fast an endpoint may be asked: requests and tokens a minute, evenly spread, so that no minute holds more than allowed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

CATCHING_UP_SECONDS = 0.05  # what sleeping too long may make up for
SPREAD_SECONDS = 60 + 2 * CATCHING_UP_SECONDS  # a minute's worth is spread over a little more, so that catching up passes no limit
LOOK_AGAIN_SECONDS = 0.25  # a reply shorter than feared gives tokens back
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
SECONDS_IN = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class RateLimits:
    """None = no limit known."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class Pace:
    """Lets requests leave one after another, no faster than the limits given and those the endpoint's headers tell."""

    def __init__(self, given: RateLimits | None = None) -> None:
        self._given = given or RateLimits()
        self.told = RateLimits()  # by headers
        self._next_request = 0.0  # monotonic seconds; from then on the next one may leave
        self._next_token = 0.0
        self._turn = asyncio.Lock()

    @property
    def limits(self) -> RateLimits:
        """The stricter of what was given and what was told."""
        return RateLimits(
            _least(self._given.requests_per_minute, self.told.requests_per_minute),
            _least(self._given.tokens_per_minute, self.told.tokens_per_minute),
        )

    @property
    def holds(self) -> bool:
        """Whether a request that comes now has to wait for its turn."""
        return max(self._next_request, self._next_token) > time.monotonic()

    async def take(self, tokens: int) -> None:
        """Wait until a request of so many tokens (prompt and expected reply) may leave."""
        if self.limits == RateLimits():
            return
        async with self._turn:
            while (left := max(self._next_request, self._next_token) - time.monotonic()) > 0:
                await asyncio.sleep(min(left, LOOK_AGAIN_SECONDS))
            self._spend(tokens, time.monotonic())

    def correct(self, taken: int, used: int) -> None:
        """Replace the tokens taken for a request by those it used."""
        if limit := self.limits.tokens_per_minute:
            self._next_token += (used - taken) * SPREAD_SECONDS / limit

    def learn(self, headers: Mapping[str, str]) -> float:
        """Read `x-ratelimit-*` headers; returns for how many seconds nothing is left to be sent (0 where something is)."""
        self.told = RateLimits(
            _number(headers.get("x-ratelimit-limit-requests")) or self.told.requests_per_minute,
            _number(headers.get("x-ratelimit-limit-tokens")) or self.told.tokens_per_minute,
        )
        used_up = [what for what in ("requests", "tokens") if _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0]
        return max((seconds_in(headers.get(f"x-ratelimit-reset-{what}", "")) for what in used_up), default=0.0)

    def _spend(self, tokens: int, at: float) -> None:
        limits = self.limits
        if limits.requests_per_minute:
            self._next_request = max(self._next_request, at - CATCHING_UP_SECONDS) + SPREAD_SECONDS / limits.requests_per_minute
        if limits.tokens_per_minute:
            self._next_token = max(self._next_token, at - CATCHING_UP_SECONDS) + tokens * SPREAD_SECONDS / limits.tokens_per_minute


def seconds_in(duration: str) -> float:
    """Seconds of a duration as these headers write it (`6m0s`, `20ms`, `1.5`); 0 where it cannot be read."""
    if (plain := _number(duration)) is not None:
        return plain
    return sum(float(number) * SECONDS_IN[unit] for number, unit in DURATION.findall(duration))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _least(first: float | None, second: float | None) -> float | None:
    known = [limit for limit in (first, second) if limit]
    return min(known) if known else None
