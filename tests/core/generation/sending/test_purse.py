from __future__ import annotations

import asyncio

import pytest

from core.domain.plans import Budget, EndpointPlan, Price
from core.domain.request import Amount, RequestTally
from core.errors import BudgetReached
from core.generation.sending.purse import TOKENS_A_MESSAGE, Purse
from tests.core.storage.test_ledger import request


def purse(*, price: Price | None = None, spent: RequestTally | None = None, **budget) -> Purse:
    return Purse(EndpointPlan(base_url="http://a/v1", model="m", budget=Budget(**budget), price=price), spent or RequestTally())


def test_the_worst_case_is_a_token_for_two_characters_and_a_full_reply():
    asked = request(messages=({"role": "user", "content": "x" * 200},))
    own = Price(prompt=1.0, completion=2.0)
    prompt = 100 + TOKENS_A_MESSAGE + len("{'type': 'object'}") / 2
    assert purse(price=own, money=1.0).worst(asked, 50) == Amount(prompt + 50, pytest.approx((prompt * 1 + 50 * 2) / 1e6))
    assert purse().worst(asked, 50) == Amount(prompt + 50, 0.0)  # an unknown price plays no part where no money is limited
    with pytest.raises(BudgetReached, match="unknown"):
        purse(money=1.0).worst(asked, 50)


def test_outside_ascii_the_worst_case_is_a_token_a_byte():
    burmese = "မြန်မာ"
    asked = request(messages=({"role": "user", "content": "ab" + burmese},), schema=None)
    assert purse().worst(asked, 0).tokens == 1 + len(burmese.encode()) + TOKENS_A_MESSAGE


def test_what_did_not_leave_counts_nothing():
    limited = purse(requests=1, tokens=100)
    assert limited.take_now(Amount(100))
    limited.take_back(Amount(100))
    assert limited.take_now(Amount(100))


def test_each_limit_is_kept_before_anything_leaves():
    for limits, error in ((purse(requests=2), "2 requests"), (purse(tokens=250), "250 tokens"), (purse(money=2.5), r"\$2.5")):

        async def spend(one: Purse = limits) -> None:
            for _ in range(3):
                await one.take(Amount(100, 1.0))
                one.settle(Amount(100, 1.0), Amount(100, 1.0))

        with pytest.raises(BudgetReached, match=error):
            asyncio.run(spend())


def test_what_earlier_runs_spent_and_maybe_spent_counts():
    spent = RequestTally(attempts=3, prompt_tokens=100, completion_tokens=50, known_cost=1.0, maybe=Amount(30, 0.5))
    with pytest.raises(BudgetReached, match="180 are used"):
        asyncio.run(purse(tokens=200, spent=spent).take(Amount(21)))
    with pytest.raises(BudgetReached, match=r"1.5000 is spent"):
        asyncio.run(purse(money=2.0, spent=spent).take(Amount(0, 0.6)))
    with pytest.raises(BudgetReached, match="3 requests"):
        asyncio.run(purse(requests=3, spent=spent).take(Amount()))


def test_where_only_reserves_stand_in_the_way_they_are_waited_for():
    async def run() -> str:
        held = purse(tokens=150)
        await held.take(Amount(100))
        second = asyncio.create_task(held.take(Amount(100)))
        await asyncio.sleep(0)
        assert not second.done()
        held.settle(Amount(100), Amount(10))  # it took far less than feared
        await second
        return "taken"

    assert asyncio.run(run()) == "taken"


def test_taking_without_waiting_tells_reserves_from_limits():
    limited = purse(tokens=250)
    limited.hold(Amount(100, 0.0))  # on its way since an earlier run
    assert limited.take_now(Amount(150, 0.0))
    assert not limited.take_now(Amount(50, 0.0))  # only reserves stand in the way
    limited.settle(Amount(150, 0.0), Amount(100, 0.0))
    assert limited.take_now(Amount(50, 0.0))
    with pytest.raises(BudgetReached, match="250 tokens"):
        limited.take_now(Amount(151, 0.0))
