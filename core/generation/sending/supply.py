"""Requests for the senders of a run, some of them claimed ahead: what has to be committed before a request leaves then holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from core.domain.chat import ChatModel, RepeatingModel
from core.errors import BudgetReached
from core.generation.sending.attempts import Attempts, TakenOver

FEWEST_SENDERS = 16  # below, a commit takes no time that anybody would notice
AHEAD = 4  # senders to one request that is claimed ahead


class Supply:
    """Iterate over it in every sender: each request goes to one of them.

    Without it, senders wait for a commit between two requests, go on together once it is done, and so crowd the endpoint and themselves in
    turns. Claimed ahead is only while requests flow: otherwise many would count as sent, and after a kill as maybe paid, that never left.
    """

    def __init__(self, take: Callable[[], Attempts | None], model: ChatModel, senders: int, group: asyncio.TaskGroup) -> None:
        """`take` gives the next request, None after the last; the claiming is done by tasks of `group`.

        With 0 `senders` nothing is claimed ahead. So it has to be where tokens or money are limited: what is claimed holds its worst case
        back, and every sender may be waiting for just that to be settled.
        """
        self._take = take
        self._claimed: asyncio.Queue[Attempts | None] | None = None
        if isinstance(model, RepeatingModel) and senders >= FEWEST_SENDERS:
            self._claimed = asyncio.Queue(1)
            claimers = [group.create_task(self._claim(model, self._claimed)) for _ in range(senders // AHEAD)]
            group.create_task(self._close(claimers, self._claimed, senders))

    async def __aiter__(self) -> AsyncIterator[Attempts]:
        """Requests until there are none; those that are `claimed` and not sent have to be given back."""
        if self._claimed is None:
            while (attempts := self._take()) is not None:
                yield attempts
            return
        while (claimed := await self._claimed.get()) is not None:
            yield claimed

    async def _claim(self, model: RepeatingModel, claimed: asyncio.Queue[Attempts | None]) -> None:
        while (attempts := self._take()) is not None:
            try:
                if model.flows:
                    await attempts.claim()
            except TakenOver:
                continue
            except BudgetReached:  # its sender finds out again, and says so
                pass
            await claimed.put(attempts)

    async def _close(self, claimers: Sequence[asyncio.Task[None]], claimed: asyncio.Queue[Attempts | None], senders: int) -> None:
        await asyncio.gather(*claimers)
        for _ in range(senders):
            await claimed.put(None)
