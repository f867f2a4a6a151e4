"""Rate limits as OpenAI tells them: a bucket of requests and one of tokens, both refilled steadily, and their headers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.shipped.teacher.protocol import ApiError

UNLIMITED = 1_000_000_000  # a minute; what the headers say where no limit is set, so that no client slows down for it


@dataclass
class Bucket:
    """Holds at most `a_minute`; what is taken comes back at that rate."""

    a_minute: int
    clock: Callable[[], float] = time.monotonic  # seconds
    level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.a_minute
        self._at = self.clock()

    def seconds_until(self, amount: float) -> float:
        """Seconds until so much is there, 0.0 where it is. More than the bucket holds is there when it is full."""
        now = self.clock()
        self.level = min(self.a_minute, self.level + (now - self._at) * self.a_minute / 60)
        self._at = now
        return max(0.0, (min(amount, self.a_minute) - self.level) * 60 / self.a_minute)

    def take(self, amount: float) -> None:
        """Take so much."""
        self.level -= amount


class RateLimits:
    """Both limits of one server."""

    def __init__(self, requests_a_minute: int | None, tokens_a_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = {"requests": Bucket(requests_a_minute or UNLIMITED, clock), "tokens": Bucket(tokens_a_minute or UNLIMITED, clock)}

    def take(self, tokens: int) -> None:
        """Count one request with its tokens.

        Raises:
            ApiError: 429, with the seconds to wait in Retry-After; nothing was counted.
        """
        needs = {"requests": 1.0, "tokens": float(tokens)}
        waits = {name: bucket.seconds_until(needs[name]) for name, bucket in self._buckets.items()}
        worst = max(waits, key=lambda name: waits[name])
        if waits[worst] > 0:
            raise ApiError(
                429,
                f"Rate limit reached for {worst} per minute: limit {self._buckets[worst].a_minute}. Try again in {waits[worst]:.3f} s.",
                kind=worst,
                code="rate_limit_exceeded",
                headers={"retry-after": f"{waits[worst]:.3f}"},
            )
        for name, bucket in self._buckets.items():
            bucket.take(needs[name])

    def headers(self) -> dict[str, str]:
        """What every answer tells about them."""
        told: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            told |= {
                f"x-ratelimit-limit-{name}": str(bucket.a_minute),
                f"x-ratelimit-remaining-{name}": str(max(0, int(bucket.level))),
                f"x-ratelimit-reset-{name}": f"{bucket.seconds_until(bucket.a_minute):.3f}s",
            }
        return told
