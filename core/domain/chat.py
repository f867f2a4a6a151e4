"""What is asked of a language model and what comes back, whoever answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `schema` is a JSON schema the reply must fit, or None for free text."""

    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any] | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 2048
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One reply as received: `raw` is the whole body, kept before anyone reads it."""

    text: str
    finish_reason: str  # stop | length | content_filter | ...
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    model: str
    request_id: str | None = None
    raw: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class ChatModel(Protocol):
    """Anything that answers chat requests: an endpoint, the embedded teacher, a scripted fake."""

    name: str
    base_url: str

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Answer one request.

        Raises:
            EndpointError: with the kind of trouble in its class.
        """
        ...


class Toll(Protocol):
    """Asked around every attempt at one request, so that repeats are counted and paid for like first attempts."""

    async def before(self) -> None:
        """Let the attempt leave.

        Raises:
            WorkbenchError: it must not; nothing was sent.
        """
        ...

    async def failed(self, *, maybe_billed: bool) -> None:
        """The attempt brought no reply. `maybe_billed`: the endpoint may have worked on it, as after a time-out."""
        ...


@runtime_checkable
class RepeatingModel(ChatModel, Protocol):
    """A model that makes several attempts at one request and asks before each."""

    @property
    def flows(self) -> bool:
        """Whether nothing holds requests back: no limit, no pause that was asked for, no overload."""
        ...

    async def reply_for(self, request: ChatRequest, toll: Toll) -> ChatReply:
        """Answer one request, paying for every attempt.

        Raises:
            EndpointError: with the kind of trouble in its class.
            WorkbenchError: what the toll raised.
        """
        ...
