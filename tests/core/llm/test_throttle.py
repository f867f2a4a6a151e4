from __future__ import annotations

import asyncio
import time

from core.llm.throttle import Throttle


def test_a_refused_volley_halves_the_limit_once_and_a_later_refusal_again():
    async def run() -> list[float]:
        throttle, seen = Throttle(8), []
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(hold(throttle, number, seen))
        return seen

    async def hold(throttle: Throttle, number: int, seen: list[float]) -> None:
        async with throttle.slot():
            left = time.monotonic()
            await asyncio.sleep(0.01)
            throttle.overloaded(left)
            seen.append(throttle.limit)

    assert asyncio.run(run()) == [4.0] * 8
    throttle = Throttle(8)
    for limit in (4.0, 2.0, 1.0, 1.0):  # never below one
        throttle.in_flight = int(throttle.limit)
        throttle.overloaded(time.monotonic() + 1)
        throttle._slowed_at = -1.0
        assert throttle.limit == limit


def test_the_limit_grows_by_one_a_round_and_never_passes_the_plan():
    throttle = Throttle(5)
    throttle.limit = 2.0
    throttle.worked()
    throttle.worked()
    assert 2.89 < throttle.limit <= 3.0  # two replies at a limit of two: one round
    for _ in range(100):
        throttle.worked()
    assert throttle.limit == 5.0


def test_no_more_than_the_limit_are_in_flight_and_all_get_their_turn():
    async def run() -> tuple[int, int]:
        throttle = Throttle(3)
        most = done = 0

        async def one() -> None:
            nonlocal most, done
            async with throttle.slot():
                most = max(most, throttle.in_flight)
                await asyncio.sleep(0)
                done += 1

        await asyncio.gather(*(one() for _ in range(20)))
        return most, done

    assert asyncio.run(run()) == (3, 20)


def test_one_who_stops_waiting_takes_no_slot():
    async def run() -> int:
        throttle = Throttle(1)

        async def one() -> None:
            async with throttle.slot():
                await asyncio.sleep(0.01)

        first, second, third = (asyncio.create_task(one()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        return throttle.in_flight

    assert asyncio.run(run()) == 0
