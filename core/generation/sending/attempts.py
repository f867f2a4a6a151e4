"""The attempts at one request: each is paid for and committed before it leaves, and counted whatever comes of it."""

from __future__ import annotations

from functools import partial

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
        self._record = record
        self._purse = purse
        self._ledger = ledger
        self._books = books
        self.reserved: Amount | None = None  # while one is under way
        self.made = 0

    async def before(self) -> None:
        """Reserve the worst case, then commit that the request leaves.

        Raises:
            BudgetReached: it may not be sent.
            TakenOver: it is another job's.
        """
        worst = self._purse.worst(self._record.request, cap_of(self._record))
        await self._purse.take(worst)
        self.reserved = worst
        cap = cap_of(self._record) if self._record.raw is not None else None
        if not await self._books.sent(Leaving(self._record.key, cap)):
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
            await self._books.note(partial(self._ledger.mark_maybe_paid, self._record.key, worst))

    def end(self, paid: Amount) -> Amount:
        """Replace the reserve by what the attempt took; returns the reserve."""
        worst, self.reserved = self.reserved or Amount(), None
        self._purse.settle(worst, paid)
        return worst


async def ask(model: ChatModel, record: RequestRecord, attempts: Attempts) -> ChatReply:
    """The reply to a request, by a model that repeats or by one that answers at once.

    Raises:
        EndpointError, BudgetReached, TakenOver: see `Attempts` and `ChatModel`.
    """
    request = chat_request(record)
    if isinstance(model, RepeatingModel):
        return await model.reply_for(request, attempts)
    await attempts.before()
    return await model.reply(request)


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
