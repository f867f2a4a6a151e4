from __future__ import annotations

import asyncio
import time

import pytest

from core.llm.pace import Pace, RateLimits, seconds_in


def departures(pace: Pace, number: int, tokens: int = 0) -> list[float]:
    """When so many requests that ask together may leave, in seconds from the first."""

    async def run() -> list[float]:
        async def one() -> float:
            await pace.take(tokens)
            return time.monotonic()

        return await asyncio.gather(*(one() for _ in range(number)))

    began = time.monotonic()
    return [at - began for at in sorted(asyncio.run(run()))]


def test_requests_are_spread_evenly_and_do_not_burst():
    times = departures(Pace(RateLimits(requests_per_minute=3000)), 11)  # one each 0.02 s
    assert times[-1] >= 10 * 60 / 3000 - 0.05


def test_tokens_are_spread_evenly():
    times = departures(Pace(RateLimits(tokens_per_minute=60_000)), 4, tokens=100)  # 1000 a second: one each 0.1 s
    assert times[-1] >= 3 * 0.1 - 0.05


def test_without_limits_nothing_waits():
    assert departures(Pace(), 50)[-1] < 0.5


def test_tokens_that_were_not_used_are_given_back():
    pace = Pace(RateLimits(tokens_per_minute=6_000))  # 100 a second: 2000 tokens are 20 s

    async def run() -> float:
        await pace.take(2000)
        pace.correct(2000, 10)
        started = time.monotonic()
        await pace.take(10)
        return time.monotonic() - started

    assert asyncio.run(run()) < 5


def test_limits_are_learned_from_headers_and_the_stricter_one_holds():
    pace = Pace(RateLimits(requests_per_minute=100))
    held = pace.learn({"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "30000", "x-ratelimit-remaining-requests": "7"})
    assert (held, pace.limits) == (0.0, RateLimits(100, 30_000))
    pace.learn({})  # a reply without headers unsays nothing
    assert pace.told == RateLimits(500, 30_000)


def test_when_nothing_is_left_the_reset_is_waited_for():
    assert (
        Pace().learn({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s", "x-ratelimit-reset-requests": "9m0s"})
        == 62.0
    )


@pytest.mark.parametrize(
    ("written", "seconds"), [("6m0s", 360.0), ("20ms", 0.02), ("1.5", 1.5), ("1h2m", 3720.0), ("soon", 0.0), ("", 0.0)]
)
def test_durations_are_read_as_headers_write_them(written: str, seconds: float):
    assert seconds_in(written) == pytest.approx(seconds)
