from __future__ import annotations

import asyncio
import time
from email.utils import format_datetime

import pytest

from core.errors import EndpointRejected, EndpointUnreachable
from core.llm.retry import Gate, RetryPolicy, Trouble, seconds_asked, with_retries

DOWN = EndpointUnreachable("down", hint="wait")


def failing(times: int, trouble: Trouble):
    calls: list[float] = []

    async def attempt() -> str:
        calls.append(time.monotonic())
        if len(calls) <= times:
            raise trouble
        return "answer"

    return attempt, calls


def test_backoff_doubles_and_stays_below_its_longest():
    policy = RetryPolicy(first_wait_seconds=0.5, longest_backoff_seconds=3.0)
    for attempt, full in ((2, 0.5), (3, 1.0), (4, 2.0), (5, 3.0), (9, 3.0)):
        assert full * 0.75 <= policy.wait_before(attempt, None) <= full
    assert policy.wait_before(2, 7.0) == 7.0


def test_a_longer_wait_than_two_minutes_is_an_answer_and_not_a_pause():
    attempt, calls = failing(1, Trouble(DOWN, passing=True, wait_seconds=3600))
    with pytest.raises(EndpointUnreachable):
        asyncio.run(with_retries(attempt, RetryPolicy(), Gate()))
    assert len(calls) == 1


def test_a_refusal_is_not_repeated():
    attempt, calls = failing(1, Trouble(EndpointRejected("no"), passing=False))
    with pytest.raises(EndpointRejected):
        asyncio.run(with_retries(attempt, RetryPolicy(first_wait_seconds=0), Gate()))
    assert len(calls) == 1


def test_a_timeout_is_tried_only_so_often():
    attempt, calls = failing(9, Trouble(DOWN, passing=True, at_most=2))
    with pytest.raises(EndpointUnreachable):
        asyncio.run(with_retries(attempt, RetryPolicy(attempts=5, first_wait_seconds=0), Gate()))
    assert len(calls) == 2


def test_when_one_is_told_to_wait_all_wait():
    gate = Gate()

    async def run() -> float:
        told, _ = failing(1, Trouble(DOWN, passing=True, wait_seconds=0.2))
        other, calls = failing(0, Trouble(DOWN, passing=True))
        started = time.monotonic()

        async def later() -> None:
            await asyncio.sleep(0.02)
            await with_retries(other, RetryPolicy(), gate)

        await asyncio.gather(with_retries(told, RetryPolicy(), gate), later())
        return calls[0] - started

    assert asyncio.run(run()) >= 0.19


def test_retry_after_is_read_as_seconds_or_as_a_date():
    from datetime import UTC, datetime, timedelta

    assert seconds_asked("1.5") == 1.5
    assert seconds_asked(None) is None
    assert seconds_asked("soon") is None
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30))
    assert 28 <= seconds_asked(date) <= 30
