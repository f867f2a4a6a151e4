"""The attempts at one request: each is paid for and committed before it leaves, and counted whatever comes of it."""

from __future__ import annotations

from functools import cache, partial
from typing import cast

from core.domain.chat import ChatModel, ChatReply, ChatRequest, RepeatingModel
from core.domain.request import Amount, RequestRecord
from core.generation.sending.bookkeeper import Bookkeeper
from core.generation.sending.purse import Purse
from core.storage.ledger import Leaving, Ledger

LARGEST_CAP = 16_384  # tokens a repeat of a reply that was cut off may have


class TakenOver(Exception):
    """Another job sends this request now."""


class Attempts:
    """The toll of one request (core.domain.chat.Toll)."""

    def __init__(self, record: RequestRecord, purse: Purse, ledger: Ledger, books: Bookkeeper) -> None:
        self.record = record
        self._purse = purse
        self._ledger = ledger
        self._books = books
        self.reserved: Amount | None = None  # while one is under way
        self.made = 0
        self.claimed = False  # reserved and committed, and waiting for its turn to leave

    async def claim(self) -> None:
        """Do now what has to be done before the first attempt: it then leaves as soon as there is room. Raises what `before` raises."""
        await self.before()
        self.claimed = True

    async def give_back(self) -> None:
        """What was claimed is not sent: as if it had never been claimed."""
        worst, self.reserved, self.claimed = self.reserved or Amount(), None, False
        self._purse.take_back(worst)
        await self._books.note(partial(self._ledger.mark_not_sent, self.record.key, repeat=self.record.raw is not None))

    async def before(self) -> None:
        """Reserve the worst case, then commit that the request leaves.

        Raises:
            BudgetReached: it may not be sent.
            TakenOver: it is another job's.
        """
        if self.claimed:
            self.claimed = False
            return
        worst = self._purse.worst(self.record.request, cap_of(self.record))
        await self._purse.take(worst)
        self.reserved = worst
        cap = cap_of(self.record) if self.record.raw is not None else None
        if not await self._books.sent(Leaving(self.record.key, cap)):
            self.reserved = None
            self._purse.take_back(worst)
            raise TakenOver
        self.made += 1

    async def failed(self, *, maybe_billed: bool) -> None:
        """Give the reserve back, or count it where the attempt was maybe billed."""
        if self.reserved is None:
            return
        worst = self.reserved
        self.end(worst if maybe_billed else Amount())
        if maybe_billed:
            await self._books.note(partial(self._ledger.mark_maybe_paid, self.record.key, worst))

    def end(self, paid: Amount) -> Amount:
        """Replace the reserve by what the attempt took; returns the reserve."""
        worst, self.reserved = self.reserved or Amount(), None
        self._purse.settle(worst, paid)
        return worst


async def ask(model: ChatModel, attempts: Attempts) -> ChatReply:
    """The reply to a request, by a model that repeats or by one that answers at once.

    Raises:
        EndpointError, BudgetReached, TakenOver: see `Attempts` and `ChatModel`.
    """
    request = chat_request(attempts.record)
    if _repeats(type(model)):
        return await cast(RepeatingModel, model).reply_for(request, attempts)
    await attempts.before()
    return await model.reply(request)


@cache
def _repeats(model: type[ChatModel]) -> bool:
    """Whether models of this class make several attempts by themselves; remembered: looking takes longer than sending."""
    return hasattr(model, "reply_for")


def cap_of(record: RequestRecord) -> int:
    """Tokens the reply may have: as planned, and twice as many where the first reply was cut off."""
    planned = int(record.request.parameters["max_tokens"])
    if record.raw is None:
        return planned
    return record.repeated_cap or min(2 * planned, max(planned, LARGEST_CAP))


def chat_request(record: RequestRecord) -> ChatRequest:
    """The request as a model is asked it."""
    parameters = record.request.parameters
    return ChatRequest(
        messages=record.request.messages,
        schema=record.request.schema,
        temperature=float(parameters["temperature"]),
        top_p=float(parameters["top_p"]),
        max_tokens=cap_of(record),
        seed=parameters.get("seed"),
    )
