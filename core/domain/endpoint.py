"""A named language model endpoint: everything about it except the key."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field, field_validator

from core.domain.plans import EMBEDDED_TEACHER, Plan

KEY_NAME = re.compile(r"^[A-Z][A-Z0-9_]*(KEY|TOKEN)$")  # so that no other variable can be sent to an endpoint by mistake


class Endpoint(Plan):
    """What the Settings page keeps of an endpoint. `api_key_env` names the key; the key itself is never kept."""

    name: str = Field(min_length=1, max_length=60)
    base_url: str = EMBEDDED_TEACHER
    model: str = Field("smollm2-135m", min_length=1)
    api_key_env: str = "TERCET_API_KEY"
    in_flight: int = Field(8, ge=1, le=1000)
    max_tokens: int = Field(2048, ge=16)
    timeout_seconds: float = Field(120, gt=0)
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)

    @field_validator("base_url")
    @classmethod
    def _reachable_kind(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value != EMBEDDED_TEACHER and not re.match(r"^https?://[^\s/@]+(/\S*)?$", value):
            raise ValueError("base_url must be `embedded` or an http(s) address without a name or key in it, for example https://host/v1")
        return value

    @field_validator("api_key_env")
    @classmethod
    def _names_a_key(cls, value: str) -> str:
        if not KEY_NAME.match(value):
            raise ValueError("the key's name must be an environment variable that ends in KEY or TOKEN, for example OPENAI_API_KEY")
        return value

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
    token_word: str = ""
    model: str = ""  # as the endpoint calls it
    models: tuple[str, ...] = ()
    price_known: bool = False
    notes: tuple[str, ...] = ()
