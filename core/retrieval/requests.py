"""What the model service is asked, checked at its door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.domain.chat import ChatRequest
from core.domain.encoder import Role

MOST_TEXTS = 2048  # of one request, as in OpenAI's API
MOST_CHARACTERS = 1_000_000  # of one text


class Call(BaseModel):
    """OpenAI's clients send fields we have no use for (user, stream_options, …): they are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EmbeddingsCall(Call):
    """POST /v1/embeddings; `role` and `task` are ours. Documents are the default: they carry no instruction."""

    model: str
    input: Annotated[str, Field(max_length=MOST_CHARACTERS)] | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]
    role: Role = Role.DOCUMENT
    task: str | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None

    def texts(self) -> list[str]:
        """The input as a list."""
        return [self.input] if isinstance(self.input, str) else list(self.input)


class ChatCall(Call):
    """POST /v1/chat/completions, for the embedded teacher."""

    model: str = ""
    messages: list[dict[str, Any]] = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    response_format: dict[str, Any] | None = None
    stream: Literal[False] | None = None

    def request(self) -> ChatRequest:
        """The same as a chat request; `json_schema` formats give the schema, `json_object` any object."""
        wanted = self.response_format or {}
        schema = (wanted.get("json_schema") or {}).get("schema") if wanted.get("type") == "json_schema" else None
        if wanted.get("type") == "json_object":
            schema = {"type": "object"}
        default = ChatRequest(messages=())
        return ChatRequest(
            messages=tuple({"role": str(m.get("role", "user")), "content": str(m.get("content", ""))} for m in self.messages),
            schema=schema,
            temperature=default.temperature if self.temperature is None else self.temperature,
            top_p=default.top_p if self.top_p is None else self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens or default.max_tokens,
            seed=self.seed,
        )


class SearchCall(Call):
    """POST /search."""

    corpus_id: str
    systems: list[str] = Field(min_length=1, max_length=8)
    query: str = Field(max_length=100_000)
    task: str | None = None
    k: int = Field(10, ge=1, le=1000)
    ask_ranks_of: list[str] = Field(default_factory=list, max_length=1000)


class TokensCall(Call):
    """POST /tokens."""

    model: str = "raw"
    text: str = Field(max_length=100_000)
    role: Role = Role.QUERY
    task: str | None = None
