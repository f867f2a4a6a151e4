"""What one endpoint understands. OpenAI-compatible servers differ; what a server refused once is not sent to it again.

Known ways: OpenAI, vLLM, llama.cpp and Ollama take a schema; LM Studio takes a schema and no `json_object`; old models take `json_object`
only; `transformers serve` takes neither, or ignores them. Reasoning models want `max_completion_tokens` and no sampling parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from core.domain.chat import ChatRequest

TOO_LONG = ("context length", "context window", "too large", "too long", "maximum context", "context size")


class JsonMode(StrEnum):
    """How a reply is held to JSON, strictest first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PROMPT = "prompt only"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which words of the protocol an endpoint takes."""

    json_mode: JsonMode = JsonMode.SCHEMA
    token_word: str = "max_tokens"  # noqa: S105 - reasoning models want max_completion_tokens
    takes_sampling: bool = True  # temperature and top_p
    takes_seed: bool = True

    def body(self, model: str, request: ChatRequest) -> dict[str, Any]:
        """Arguments of the call."""
        body: dict[str, Any] = {"model": model, "messages": [dict(m) for m in request.messages], self.token_word: request.max_tokens}
        if self.takes_sampling:
            body |= {"temperature": request.temperature, "top_p": request.top_p}
        if self.takes_seed and request.seed is not None:
            body["seed"] = request.seed
        if request.schema is not None and self.json_mode is not JsonMode.PROMPT:
            body["response_format"] = self._format(request.schema)
        return body

    def after_refusal(self, complaint: str, request: ChatRequest) -> Self | None:
        """A simpler dialect to try when the endpoint called a request bad, or None when the complaint is about something else.

        `complaint` is the error's text; servers word it differently, so the words of the protocol are looked for.
        """
        text = complaint.casefold()
        if any(words in text for words in TOO_LONG):  # names the parameters, but is about the size of this request
            return None
        if self.token_word == "max_tokens" and "max_completion_tokens" in text:  # noqa: S105
            return replace(self, token_word="max_completion_tokens")  # noqa: S106
        if request.schema is not None and self.json_mode is not JsonMode.PROMPT and _about_format(text):
            return replace(self, json_mode=JsonMode.OBJECT if self.json_mode is JsonMode.SCHEMA else JsonMode.PROMPT)
        if self.takes_seed and request.seed is not None and "seed" in text:
            return replace(self, takes_seed=False)
        if self.takes_sampling and ("temperature" in text or "top_p" in text):
            return replace(self, takes_sampling=False)
        return None

    def narrowed(self, other: Self) -> Self:
        """What both leave standing: two requests in flight may have learned different things."""
        order = list(JsonMode)
        return replace(
            self,
            json_mode=max(self.json_mode, other.json_mode, key=order.index),
            token_word="max_tokens" if self.token_word == other.token_word == "max_tokens" else "max_completion_tokens",  # noqa: S105
            takes_sampling=self.takes_sampling and other.takes_sampling,
            takes_seed=self.takes_seed and other.takes_seed,
        )

    def as_record(self) -> dict[str, str | bool]:
        """Plain values, for the workspace to keep."""
        return asdict(self) | {"json_mode": self.json_mode.value}

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Self | None:
        """A kept dialect; None where the record is of another version and has to be found out again."""
        try:
            return cls(**{**values, "json_mode": JsonMode(values["json_mode"])})
        except (KeyError, TypeError, ValueError):
            return None

    def _format(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if self.json_mode is JsonMode.OBJECT:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": dict(schema)}}


def _about_format(text: str) -> bool:
    return any(word in text for word in ("response_format", "json_object", "structured output", "guided", "grammar", "schema"))
