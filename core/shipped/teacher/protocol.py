"""OpenAI's chat protocol as the recorded teacher speaks it: what is asked, and the bodies of answers and errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

BYTES_A_TOKEN = 4  # of UTF-8; near what current tokenizers need, for English as for scripts of three bytes a character
DEFAULT_MAX_TOKENS = 16_384
MOST_TOKENS = 10**9
MOST_CHOICES = 128
CHARACTERS_A_CHUNK = 80  # of a streamed reply


class ApiError(Exception):
    """An answer that is not 2xx. It travels to the client in OpenAI's error format and is shown to nobody here."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = facts.pop("headers", {})
        message = message.encode("utf-8", "replace").decode()  # it may repeat half a character of the request, which no body can hold
        self.body = {"error": {"message": message, "type": kind, "param": facts.get("param"), "code": facts.get("code")}}


class Part(BaseModel):
    """One part of a message's content; only texts are read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str
    text: str = ""


class Message(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its content as one text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class JsonSchema(BaseModel):
    """The schema of a `json_schema` format. It is called `schema` on the wire, which pydantic keeps for itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")


class ResponseFormat(BaseModel):
    """How the reply is held to JSON."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str = Field(pattern="^(text|json_object|json_schema)$")
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    include_usage: bool = False


class ChatCall(BaseModel):
    """POST /v1/chat/completions. Fields the teacher has no use for (tools, stop, user …) are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    messages: list[Message] = Field(min_length=1)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    seed: int | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @classmethod
    def read(cls, body: Any) -> Self:
        """The call a decoded body makes.

        Raises:
            ApiError: 400, with the field at fault as `param`.
        """
        if not isinstance(body, dict):
            raise ApiError(400, "The body of the request must be a JSON object.")
        try:
            call = cls.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ApiError(400, f"Invalid value for '{where}': {first['msg']}.", param=where, code="invalid_value") from error
        wanted = call.response_format
        if wanted and wanted.type == "json_schema" and wanted.json_schema is None:
            raise ApiError(
                400, "Missing required parameter: 'response_format.json_schema'.", param="response_format.json_schema", code="missing"
            )
        return call

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n".join(message.text for message in self.messages)

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the messages, with the few that a chat format puts around each."""
        return sum(count_tokens(message.text) + 4 for message in self.messages) + 3

    @property
    def token_limit(self) -> int:
        """Tokens each choice may have."""
        return self.max_completion_tokens or self.max_tokens or DEFAULT_MAX_TOKENS

    @property
    def schema_asked(self) -> Mapping[str, Any] | None:
        """The schema the reply is held to; any object for `json_object`, None for text."""
        if self.response_format is None or self.response_format.type == "text":
            return None
        return self.response_format.json_schema.schema_ if self.response_format.json_schema else {"type": "object"}


def read_json(raw: bytes) -> Any:
    """A decoded body.

    Raises:
        ApiError: 400, it is not JSON.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "The body of the request is not valid JSON.") from error


def count_tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its bytes, since no tokenizer is loaded."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_A_TOKEN)


def first_tokens(text: str, count: int) -> str:
    """The beginning of a text that `count` tokens hold; no character is halved."""
    return text.encode("utf-8", "replace")[: count * BYTES_A_TOKEN].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Choice:
    """One reply to a call."""

    text: str | None
    refusal: str | None = None
    finish_reason: str = "stop"

    @property
    def tokens(self) -> int:
        """Tokens it is counted with."""
        return count_tokens(self.text or self.refusal or "")


@dataclass(frozen=True, slots=True)
class Completion:
    """All choices of a call, with what both forms of the answer share."""

    id: str
    model: str
    fingerprint: str
    prompt_tokens: int
    choices: tuple[Choice, ...]
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def usage(self) -> dict[str, Any]:
        """Token counts of all choices."""
        completion = sum(choice.tokens for choice in self.choices)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def body(self) -> dict[str, Any]:
        """The answer in one piece."""
        choices: list[dict[str, Any]] = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": choice.refusal, "annotations": []},
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage}

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The answer as a stream: role, pieces of text, the finish reason, and the usage where it was asked for."""
        head: dict[str, Any] = self._head("chat.completion.chunk") | ({"usage": None} if include_usage else {})
        for index, choice in enumerate(self.choices):
            word = "content" if choice.refusal is None else "refusal"
            text = choice.text or choice.refusal or ""
            yield {**head, "choices": [_delta(index, {"role": "assistant", word: ""})]}
            for start in range(0, len(text), CHARACTERS_A_CHUNK):
                yield {**head, "choices": [_delta(index, {word: text[start : start + CHARACTERS_A_CHUNK]})]}
            yield {**head, "choices": [_delta(index, {}, choice.finish_reason)]}
        if include_usage:
            yield {**head, "choices": [], "usage": self.usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "system_fingerprint": self.fingerprint}


def _delta(index: int, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
