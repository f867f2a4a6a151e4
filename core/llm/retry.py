"""Try again on passing trouble only: the one place that decides what passes and how long to wait."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from core.errors import EndpointError

Answer = TypeVar("Answer")
PASSING_STATUS = frozenset((408, 409, 429))  # and every 5xx
LONGEST_WAIT_SECONDS = 120.0  # a longer Retry-After is an answer, not a pause


class Trouble(Exception):
    """One failed attempt: our error, whether waiting may help, and how long the endpoint asked us to wait."""

    def __init__(self, error: EndpointError, *, passing: bool, wait_seconds: float | None = None, at_most: int | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.passing = passing
        self.wait_seconds = wait_seconds
        self.at_most = at_most  # attempts worth making; None = as many as the policy has


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts the first one."""

    attempts: int = 5
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
    for number in range(1, policy.attempts + 1):
        await gate.passed()
        try:
            return await attempt()
        except Trouble as trouble:
            asked = trouble.wait_seconds
            last = min(policy.attempts, trouble.at_most or policy.attempts)
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
