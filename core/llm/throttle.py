"""How many requests are in flight: one more for every round that went well, half as many when the endpoint is overloaded."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Throttle:
    """Slots for requests in flight. It begins with `most` and never passes it."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self.limit = float(most)
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._slowed_at = -1.0  # monotonic seconds

    @property
    def full(self) -> bool:
        """Whether as many may be in flight as were asked for."""
        return self.limit >= self._most

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot, waiting for it in the order of arrival."""
        await self._enter()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    def worked(self) -> None:
        """A reply came: after as many as are in flight, one more may be."""
        self.limit = min(self._most, self.limit + 1 / self.limit)
        self._admit()

    def overloaded(self, sent_at: float) -> None:
        """The endpoint refused a request that left at `sent_at` (monotonic seconds).

        A volley that is refused as a whole halves the limit once: what left before the last halving says nothing new.
        """
        if sent_at > self._slowed_at:
            self._slowed_at = time.monotonic()
            self.limit = max(1.0, min(self.limit, self.in_flight) / 2)

    async def _enter(self) -> None:
        if self.in_flight < int(self.limit) and not self._waiting:
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled at once: the slot goes to the next
                self.in_flight -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
