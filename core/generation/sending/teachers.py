"""Open the model that writes: an endpoint with its key, or the embedded teacher."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from core.domain.chat import ChatModel
from core.domain.endpoint import Endpoint
from core.domain.plans import EMBEDDED_TEACHER, EndpointPlan
from core.errors import BadPlan
from core.generation.sending.capabilities import CapabilityBook
from core.llm.keys import KeyRing
from core.llm.pricing import price_is_known
from core.settings import Settings

if TYPE_CHECKING:
    from core.llm.batch_client import BatchClient

OpenModel = Callable[[EndpointPlan], ChatModel]
OpenBatches = Callable[[EndpointPlan], "BatchClient"]
SETTINGS_KEY = "TERCET_API_KEY"


class Teachers:
    """Opens a ChatModel for a plan. Call it inside the event loop that will use the model."""

    def __init__(self, settings: Settings, keys: KeyRing, capabilities: CapabilityBook) -> None:
        self._settings = settings
        self._keys = keys
        self.capabilities = capabilities

    def key(self, name: str) -> SecretStr | None:
        """The key of that name from the Settings page, the environment or, for TERCET_API_KEY, .env."""
        return self._keys.get(name) or (self._settings.api_key if name == SETTINGS_KEY else None)

    def access(self, plan: EndpointPlan | Endpoint) -> dict[str, Any]:
        """How a client of this address is let in, and how long it waits: arguments of every client of core.llm."""
        return {"key": self.key(plan.api_key_env), "key_name": plan.api_key_env, "timeout_seconds": plan.timeout_seconds}

    def open(self, plan: EndpointPlan) -> ChatModel:
        """The model of the plan.

        Raises:
            ModelError: the embedded teacher cannot be loaded.
        """
        if plan.base_url == EMBEDDED_TEACHER:
            from core.encoder.teacher import EmbeddedTeacher  # loads torch: in the process of a job only

            return EmbeddedTeacher(self._settings)
        from core.llm.endpoint import EndpointModel, Habits  # 0.4 s of imports: only where an endpoint is asked
        from core.llm.pace import RateLimits

        habits = Habits(
            in_flight=plan.in_flight,
            limits=RateLimits(plan.requests_per_minute, plan.tokens_per_minute),
            dialect=self.capabilities.find(plan.base_url, plan.model),
            learned=partial(self.capabilities.keep, plan.base_url, plan.model),
        )
        return EndpointModel(plan.base_url, plan.model, **self.access(plan), habits=habits)

    def open_batches(self, plan: EndpointPlan) -> BatchClient:
        """The plan's endpoint, for requests that go out as files."""
        from core.llm.batch_client import BatchClient

        known = partial(self.capabilities.find, plan.base_url, plan.model)
        return BatchClient(plan.base_url, plan.model, **self.access(plan), known_dialect=known)


def check_endpoint(plan: EndpointPlan) -> None:
    """Refuse a money budget that cannot be kept, and batches where there are none.

    Raises:
        BadPlan: the model's price is unknown, or the embedded teacher was asked for batches.
    """
    if plan.batch and plan.base_url == EMBEDDED_TEACHER:
        raise BadPlan("The embedded teacher has no batches.", hint="Run without --batch, or choose an endpoint that has them.")
    if plan.budget.money is not None and not price_is_known(plan.base_url, plan.model, plan.price):
        raise BadPlan(
            f"The price of “{plan.model}” at {plan.base_url} is unknown, so a budget in money cannot be kept.",
            hint="Give the endpoint a price of your own, or set a budget in requests or tokens instead.",
        )


async def close_model(model: ChatModel) -> None:
    """Give back what an opened model holds, where it holds something."""
    close = getattr(model, "close", None)
    if close is not None and inspect.isawaitable(waiting := close()):
        await waiting
