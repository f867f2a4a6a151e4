"""The options by which `brainstorm` and `generate` say who writes, how fast, and for how much: one list for both."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from core.errors import BadInput, BadPlan
from core.workbench import Workbench

OF_ENDPOINTS = (
    "base_url", "model", "api_key_env", "in_flight", "temperature", "top_p", "max_tokens", "requests_per_minute", "tokens_per_minute",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """As given in a shell; None where an option was left out."""

    base_url: Annotated[str | None, typer.Option("--base-url", help="`embedded` or the URL of an OpenAI-compatible API (…/v1).")] = None
    model: Annotated[str | None, typer.Option("--model", help="Model name at that endpoint.")] = None
    api_key_env: Annotated[str | None, typer.Option("--api-key-env", help="Name of the environment variable that holds the key.")] = None
    in_flight: Annotated[int | None, typer.Option("--in-flight", help="Requests at a time.")] = None
    temperature: Annotated[float | None, typer.Option("--temperature")] = None
    top_p: Annotated[float | None, typer.Option("--top-p")] = None
    max_tokens: Annotated[int | None, typer.Option("--max-tokens", help="Tokens a reply may have.")] = None
    budget_requests: Annotated[int | None, typer.Option("--budget-requests", help="Send at most so many requests.")] = None
    budget_money: Annotated[float | None, typer.Option("--budget-money", help="Spend at most so many US dollars.")] = None
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", help="Use at most so many tokens, prompts and replies together.")
    ] = None
    requests_per_minute: Annotated[float | None, typer.Option("--requests-per-minute", help="Never send faster than this.")] = None
    tokens_per_minute: Annotated[
        float | None, typer.Option("--tokens-per-minute", help="Prompts and replies together, never faster than this.")
    ] = None
    price_prompt: Annotated[float | None, typer.Option("--price-prompt", help="Own price: US dollars a million prompt tokens.")] = None
    price_completion: Annotated[float | None, typer.Option("--price-completion", help="The same for reply tokens.")] = None
    batch: Annotated[bool, typer.Option("--batch", help="Send as batches: half the price, up to 24 hours. A --plan may hold it too.")] = (
        False
    )
    seed: Annotated[int, typer.Option("--seed", help="The same plan with the same seed sends only what is missing.")] = 0

    def plan_values(self, workbench: Workbench) -> dict[str, Any]:
        """Fields of a plan. What is left open comes from the workspace's default endpoint, or from its saved one with that address.

        Raises:
            BadPlan: an address the workspace does not know, and no model. BadInput: half a price.
        """
        given = {name: value for name, value in asdict(self).items() if name in OF_ENDPOINTS and value is not None}
        if (price := self._price()) is not None:
            given["price"] = price
        known = [e for e in workbench.endpoints.list() if self.base_url in (None, e.base_url)]
        default = workbench.endpoints.default()
        chosen = default if default in known else (known[0] if known else None)
        if chosen is None and self.model is None:
            raise BadPlan(f"No model is given for {self.base_url}.", hint="Add --model NAME.")
        saved = chosen.model_dump(include={*OF_ENDPOINTS, "price", "timeout_seconds"}) if chosen else {}
        budget = {"requests": self.budget_requests, "money": self.budget_money, "tokens": self.budget_tokens}
        return saved | given | {"budget": budget, "batch": self.batch, "seed": self.seed}

    def _price(self) -> dict[str, float] | None:
        if self.price_prompt is None and self.price_completion is None:
            return None
        if self.price_prompt is None or self.price_completion is None:
            raise BadInput("A price needs both --price-prompt and --price-completion.", hint="A local model costs 0 and 0.")
        return {"prompt": self.price_prompt, "completion": self.price_completion}


def takes_endpoint_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with a parameter `endpoint: EndpointOptions`, as typer can read it: with an option for each of its fields instead."""
    names = [field.name for field in fields(EndpointOptions)]
    hints = get_type_hints(EndpointOptions, include_extras=True)
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(EndpointOptions)
    ]
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += options if parameter.name == "endpoint" else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]

    @wraps(command)
    def with_options(**values: Any) -> None:
        endpoint = EndpointOptions(**{name: values.pop(name) for name in names})
        command(endpoint=endpoint, **values)

    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
