"""A named language model endpoint: everything about it except the key."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from core.domain.plans import EMBEDDED_TEACHER, EndpointAddress, Price


class Endpoint(EndpointAddress):
    """What the Settings page keeps of an endpoint. `api_key_env` names the key; the key itself is never kept."""

    name: str = Field(min_length=1, max_length=60)
    model: str = Field("smollm2-135m", min_length=1)
    in_flight: int = Field(8, ge=1, le=1000)
    max_tokens: int = Field(2048, ge=16)
    timeout_seconds: float = Field(120, gt=0)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    price: Price | None = None  # own price; the price table's where absent

    @property
    def embedded(self) -> bool:
        """Whether the model runs on this machine inside Tercet."""
        return self.base_url == EMBEDDED_TEACHER


# The paper samples at temperature 1; a 135M model needs less to stay with its words.
EMBEDDED_ENDPOINT = Endpoint(name="Embedded teacher", in_flight=8, max_tokens=1024, temperature=0.6, top_p=0.9)


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What one test call found. Nothing in it is a secret."""

    reachable: bool
    seconds: float
    json_mode: str = ""  # json_schema | json_object | prompt only
    json_fits: bool = False  # the reply was the JSON that was asked for
    takes_seed: bool = False
    takes_sampling: bool = False  # temperature and top_p
    token_word: str = ""
    model: str = ""  # as the endpoint calls it
    models: tuple[str, ...] = ()
    price_known: bool = False
    requests_per_minute: float | None = None  # as its headers say; None = it does not say
    tokens_per_minute: float | None = None
    notes: tuple[str, ...] = ()
