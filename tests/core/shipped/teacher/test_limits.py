from __future__ import annotations

import pytest

from core.shipped.teacher.limits import RateLimits
from core.shipped.teacher.protocol import ApiError, count_tokens, first_tokens


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_so_many_requests_a_minute_and_then_429_with_the_time_to_wait():
    clock = Clock()
    limits = RateLimits(30, None, clock)
    for _ in range(30):
        limits.take(5)
    with pytest.raises(ApiError) as told:
        limits.take(5)
    assert (told.value.status, told.value.headers) == (429, {"retry-after": "2.000"})  # 30 a minute: one every two seconds
    assert limits.headers()["x-ratelimit-remaining-requests"] == "0"
    clock.seconds += 2
    limits.take(5)
    assert limits.headers()["x-ratelimit-reset-requests"] == "60.000s"


def test_tokens_are_limited_too_and_a_request_larger_than_the_limit_passes_when_all_is_there():
    clock = Clock()
    limits = RateLimits(None, 600, clock)
    limits.take(5000)
    assert limits.headers()["x-ratelimit-remaining-tokens"] == "0"
    with pytest.raises(ApiError, match="tokens per minute"):
        limits.take(1)
    clock.seconds += 600
    limits.take(600)


def test_tokens_are_a_quarter_of_the_bytes_and_no_character_is_halved():
    assert [count_tokens(text) for text in ("", "tea", "four", "five!", "茶茶茶茶")] == [0, 1, 1, 2, 3]
    assert first_tokens("茶茶茶茶", 1) == "茶"
    assert first_tokens("tea for two", 2) == "tea for "
