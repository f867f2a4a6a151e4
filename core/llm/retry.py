"""Try again on passing trouble only: the one place that decides what passes and how long to wait."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TypeVar

from core.errors import EndpointError, RateLimited

Answer = TypeVar("Answer")
PASSING_STATUS = frozenset((408, 409, 429))  # and every 5xx
OVERLOAD_STATUS = frozenset((429, 503, 529))
LONGEST_WAIT_SECONDS = 120.0  # a longer Retry-After is an answer, not a pause


class Trouble(Exception):
    """One failed attempt: our error, whether waiting may help, and how long the endpoint asked us to wait."""

    def __init__(
        self,
        error: EndpointError,
        *,
        passing: bool,
        wait_seconds: float | None = None,
        at_most: int | None = None,
        overload: bool = False,
        maybe_billed: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.passing = passing
        self.wait_seconds = wait_seconds
        self.at_most = at_most  # attempts worth making; None = as many as the policy has
        self.overload = overload  # fewer in flight would help
        self.maybe_billed = maybe_billed  # the endpoint may have worked on it


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Both numbers of attempts count the first one.

    Being told to slow down is no failure yet: such attempts have a number of their own, enough for 1000 in flight to be halved to 1.
    """

    attempts: int = 5
    attempts_when_limited: int = 12
    first_wait_seconds: float = 0.5
    longest_backoff_seconds: float = 20.0

    def wait_before(self, attempt: int, asked_seconds: float | None) -> float:
        """Seconds to wait before attempt 2, 3, …: what the endpoint asked for, else doubling with up to 25 % taken off."""
        if asked_seconds is not None:
            return asked_seconds
        backoff: float = min(self.longest_backoff_seconds, self.first_wait_seconds * 2.0 ** (attempt - 2))
        return backoff * (1 - 0.25 * random.random())  # noqa: S311 - spreads clients, keeps no secret


class Gate:
    """Shared by all requests to one endpoint: when it asks to slow down, all of them wait, not only the one that was told."""

    def __init__(self) -> None:
        self._closed_until = 0.0  # monotonic seconds

    @property
    def closed(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._closed_until > time.monotonic()

    def close_for(self, seconds: float) -> None:
        """Let nobody through for so long."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    async def passed(self) -> None:
        """Wait until it is open."""
        while (left := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(left)


async def with_retries(attempt: Callable[[], Awaitable[Answer]], policy: RetryPolicy, gate: Gate) -> Answer:
    """The first answer that comes.

    Raises:
        EndpointError: of the last attempt.
    """
    for number in count(1):
        await gate.passed()
        try:
            return await attempt()
        except Trouble as trouble:
            asked = trouble.wait_seconds
            most = policy.attempts_when_limited if isinstance(trouble.error, RateLimited) else policy.attempts
            last = min(most, trouble.at_most or most)
            if not trouble.passing or number >= last or (asked or 0) > LONGEST_WAIT_SECONDS:
                raise trouble.error from None  # the chain may hold the key: some servers repeat it
            wait = policy.wait_before(number + 1, asked)
            if asked is not None:
                gate.close_for(wait)
            else:
                await asyncio.sleep(wait)
    raise AssertionError("unreachable: the last attempt returns or raises")


def seconds_asked(header: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None where there is none."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
