"""A text as a model reads it: its tokens, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.domain.encoder import Role
from core.encoder.text_encoder import TextEncoder
from core.errors import ModelUnusable


def token_view(encoder: TextEncoder, text: str, *, role: Role, task: str | None = None) -> list[dict[str, Any]]:
    """Tokens after instruction, truncation and end token: [{"id", "text", "special"}]; `text` is the token decoded alone.

    Raises:
        ModelUnusable: the encoder has no tokenizer to ask.
    """
    tokens = getattr(encoder, "tokens", None)
    if tokens is None:
        raise ModelUnusable("This encoder does not show its tokens.", hint="Ask one that is a language model.")
    tokenizer = tokens.tokenizer
    special = set(tokenizer.all_special_ids)
    rows = tokens.ids([text], role=role, task=task)
    return [{"id": int(i), "text": tokenizer.decode([i]), "special": i in special} for i in rows[0]]


def count_tokens(encoder: TextEncoder, texts: Sequence[str], *, role: Role, task: str | None = None) -> int | None:
    """Tokens the encoder reads for these texts; None where it cannot say."""
    tokens = getattr(encoder, "tokens", None)
    return sum(len(row) for row in tokens.ids(list(texts), role=role, task=task)) if tokens is not None else None
