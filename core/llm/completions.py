"""Read the body of a chat completion, however it came: alone or as a line of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.domain.chat import ChatReply

MOST_TOKENS = 2**53


class NotACompletion(Exception):
    """The body holds no reply."""


def read_completion(
    body: Any, raw: str, *, model: str, request_id: str | None = None, seconds: float = 0.0, headers: Mapping[str, str] | None = None
) -> ChatReply:  # fmt: skip
    """The reply a decoded body holds. `raw` is kept as it came; `model` is named where the body names none.

    Raises:
        NotACompletion: the body is none.
    """
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal, ended = message.get("content") or "", message.get("refusal"), choice.get("finish_reason")
        usage = body.get("usage")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotACompletion from error
    usage = usage if isinstance(usage, dict) else {}
    text = _whole_characters(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))
    return ChatReply(
        text=text,
        finish_reason="refusal" if refusal and not text else _whole_characters(str(ended or "stop")),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        seconds=round(seconds, 3),
        model=_whole_characters(str(body.get("model") or model)),
        request_id=request_id or _text(body.get("id")),
        raw=raw,
        headers=dict(headers or {}),
    )


def _count(value: object) -> int | None:
    """A number of tokens; None for what is none, or is larger than a database holds."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else None


def _text(value: object) -> str | None:
    return _whole_characters(value) if isinstance(value, str) else None


def _whole_characters(text: str) -> str:
    """The text with halves of characters, which a broken JSON escape leaves and no database holds, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
