"""A request to a language model as the ledger knows it: planned before it is sent, stored before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.domain.identity import plan_hash
from core.domain.prompt import PromptStep
from core.domain.triple import SlotValue


class RequestState(StrEnum):
    """Where a request is; `sent` without `received` after a crash means: maybe paid, to be sent again."""

    PLANNED = "planned"
    SENT = "sent"
    RECEIVED = "received"
    PARSED = "parsed"
    FAILED = "failed"


@dataclass(frozen=True)
class PlannedRequest:
    """Everything decided before sending. Slots are drawn now, so what was asked can be checked against what came."""

    step: PromptStep
    group: TaskGroup
    base_url: str
    model: str
    messages: tuple[Mapping[str, str], ...]
    parameters: Mapping[str, Any]  # temperature, top_p, max_tokens, seed
    schema: Mapping[str, Any] | None
    replicate: int = 0
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    language: str | None = None
    target_language: str | None = None
    task_id: str | None = None
    prompt_version_id: str | None = None

    @cached_property
    def key(self) -> str:
        """Hash of everything that can change the reply: the same question is never paid twice."""
        return plan_hash(
            {
                "base_url": self.base_url,
                "model": self.model,
                "messages": [dict(message) for message in self.messages],
                "parameters": dict(self.parameters),
                "schema": dict(self.schema) if self.schema is not None else None,
                "replicate": self.replicate,
            }
        )


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request with what became of it."""

    key: str
    request: PlannedRequest
    state: RequestState
    job_id: str | None = None
    reason: str = ""  # of a failure
    attempts: int = 0
    raw: str | None = None  # reply body as received
    reply_text: str | None = None
    finish_reason: str | None = None
    provider_request_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None  # US dollars; None = unknown price
    seconds: float | None = None
    received_at: str | None = None
    repeated_cap: int | None = None  # tokens the reply may have in the repeat of a reply that was cut off
    first_reply: Mapping[str, Any] | None = None  # that reply: raw, finish_reason, tokens, cost
    error_body: str | None = None  # the last answer that was no reply of the protocol

    @property
    def stored_reply(self) -> ChatReply:
        """The reply as it came, to be read again."""
        return ChatReply(
            text=self.reply_text or "",
            finish_reason=self.finish_reason or "stop",
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=self.seconds or 0.0,
            model=self.request.model,
            raw=self.raw or "",
        )


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens of prompt and reply together, and US dollars (0 where money plays no part)."""

    tokens: int = 0
    money: float = 0.0


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class RequestTally:
    """Counts of one job's requests, overall and by group, with failures by reason."""

    by_state: dict[RequestState, int] = field(default_factory=dict)
    by_group: dict[TaskGroup, dict[RequestState, int]] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    cost: float | None = 0.0  # None = at least one price is unknown
    known_cost: float = 0.0  # of the requests whose price is known
    prompt_tokens: int = 0
    completion_tokens: int = 0
    attempts: int = 0  # requests that left, repeats included
    received: int = 0  # replies stored
    maybe: Amount = NOTHING  # the worst case of attempts that were maybe billed although no answer came, or none that could be counted
    repeated: int = 0  # sent once more because the reply was cut off
    repeated_parsed: int = 0  # of them, used in the end
    received_times: tuple[str, ...] = ()  # of the newest replies, oldest first

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.by_state.values())

    @property
    def parsed(self) -> int:
        """Requests whose reply was used."""
        return self.by_state.get(RequestState.PARSED, 0)

    @property
    def failed(self) -> int:
        """Requests that brought nothing."""
        return self.by_state.get(RequestState.FAILED, 0)

    @property
    def ended(self) -> int:
        """Requests that are over, well or badly."""
        return self.parsed + self.failed


@dataclass(frozen=True, slots=True)
class Estimate:
    """Costs in US dollars, times in seconds. `cost` is None where the price is unknown."""

    requests: int
    answered: int  # of them, already in the ledger: not sent and not paid again
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
    basis: str
    by_group: dict[TaskGroup, int] = field(default_factory=dict)

    @property
    def to_send(self) -> int:
        """Requests that will leave."""
        return self.requests - self.answered


@dataclass(frozen=True, slots=True)
class GenerationProgress:
    """A job's requests as they stand now. `seconds_left` is None while nothing can be said."""

    tally: RequestTally
    replies_a_minute: float | None
    seconds_left: float | None
