"""The budget of one job: requests, tokens and money, all checked before each attempt leaves."""

from __future__ import annotations

import asyncio
from math import ceil

from core.domain.chat import ChatReply
from core.domain.plans import EndpointPlan, Price
from core.domain.request import Amount, PlannedRequest, RequestRecord, RequestTally
from core.errors import BudgetReached
from core.llm.pricing import price
from core.storage.ledger import Received

FEWEST_LETTERS_A_TOKEN = 2.0  # of ASCII, for the worst case, which must not be too small; no token is shorter than a byte elsewhere
TOKENS_A_MESSAGE = 8  # role and marks around it
KEPT = "All replies are kept. Start the same plan with a larger budget: only what is missing is sent."


class Purse:
    """Reserves the worst case of each attempt while its reply is awaited; every attempt counts, repeats and lost ones too."""

    def __init__(self, plan: EndpointPlan, spent: RequestTally) -> None:
        self._plan = plan
        self._budget = plan.budget
        self._sent = spent.attempts
        self._spent = Amount(spent.prompt_tokens + spent.completion_tokens + spent.maybe.tokens, spent.known_cost + spent.maybe.money)
        self._reserved = Amount()
        self._settled = asyncio.Event()

    def worst(self, request: PlannedRequest, max_tokens: int) -> Amount:
        """The most one attempt can take."""
        prompt_tokens = sum(_most_tokens(m["content"]) + TOKENS_A_MESSAGE for m in request.messages)
        if request.schema is not None:
            prompt_tokens += _most_tokens(str(request.schema))
        money = price(request.base_url, request.model, prompt_tokens, max_tokens, self._plan.price)
        if money is None and self._budget.money is not None:
            raise BudgetReached(
                f"The price of “{request.model}” is unknown, so the budget of ${self._budget.money:.4f} cannot be kept.",
                hint="Give the endpoint a price of your own on the Settings page, or set a budget in requests or tokens.",
            )
        return Amount(prompt_tokens + max_tokens, money or 0.0)

    async def take(self, worst: Amount) -> None:
        """Reserve one attempt. Where only the reserves of others stand in the way, wait until they are settled.

        Raises:
            BudgetReached: it may not be sent.
        """
        while not self.take_now(worst):
            self._settled.clear()
            await self._settled.wait()

    def take_now(self, worst: Amount) -> bool:
        """Reserve one attempt. False where the reserves of others stand in the way, which may be settled for less.

        Raises:
            BudgetReached: it may not be sent.
        """
        self._refuse_beyond(worst)
        if not self._fits(_sum(self._spent, self._reserved, worst)):
            return False
        self._sent += 1
        self.hold(worst)
        return True

    def take_back(self, worst: Amount) -> None:
        """What was reserved did not leave."""
        self._sent -= 1
        self.settle(worst, Amount())

    def hold(self, worst: Amount) -> None:
        """Reserve what is on its way already, sent by an earlier run."""
        self._reserved = _sum(self._reserved, worst)

    def settle(self, reserved: Amount, paid: Amount) -> None:
        """Replace a reserve by what the attempt took."""
        self._reserved = Amount(self._reserved.tokens - reserved.tokens, self._reserved.money - reserved.money)
        self.lose(paid)

    def lose(self, paid: Amount) -> None:
        """Count what was taken without a reserve: by attempts of an earlier run that was killed."""
        self._spent = _sum(self._spent, paid)
        self._settled.set()

    def _fits(self, amount: Amount) -> bool:
        tokens, money = self._budget.tokens, self._budget.money
        return (tokens is None or amount.tokens <= tokens) and (money is None or amount.money <= money)

    def _refuse_beyond(self, worst: Amount) -> None:
        budget, after = self._budget, _sum(self._spent, worst)
        if budget.requests is not None and self._sent >= budget.requests:
            raise BudgetReached(f"The budget of {budget.requests} requests is used up.", hint=KEPT)
        if budget.money is not None and after.money > budget.money:
            what = f"the budget of ${budget.money:.4f}: ${self._spent.money:.4f} is spent"
            raise BudgetReached(f"The next request could pass {what}.", hint=KEPT)
        if budget.tokens is not None and after.tokens > budget.tokens:
            what = f"the budget of {budget.tokens:,} tokens: {self._spent.tokens:,} are used"
            raise BudgetReached(f"The next request could pass {what}.", hint=KEPT)


def bill(record: RequestRecord, reply: ChatReply, worst: Amount, own: Price | None, *, share: float = 1.0) -> tuple[Received, Amount]:
    """The reply with its cost, to be stored, and what it took of the budget. What cannot be counted is taken to be the `worst` case.

    `record` is the request as it was before the reply, `share` the part of the price that is asked.
    """
    request = record.request
    full = price(request.base_url, request.model, reply.prompt_tokens, reply.completion_tokens, own)
    cost = None if full is None else full * share
    counted = reply.prompt_tokens is not None and reply.completion_tokens is not None
    tokens = (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
    uncounted = Amount(0 if counted else worst.tokens, worst.money if cost is None else 0.0)
    first = record if record.raw is not None else None
    paid = Amount(tokens + uncounted.tokens, (cost or 0.0) + uncounted.money)
    return Received(record.key, reply, cost, first=first, worst=uncounted), paid


def _most_tokens(text: str) -> int:
    letters = len(text.encode("ascii", "ignore"))
    return ceil(letters / FEWEST_LETTERS_A_TOKEN) + len(text.encode("utf-8", "replace")) - letters


def _sum(*amounts: Amount) -> Amount:
    return Amount(sum(a.tokens for a in amounts), sum(a.money for a in amounts))
