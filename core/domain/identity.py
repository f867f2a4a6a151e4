"""Ids are hashes of content, so the same thing has one id everywhere."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

ID_LENGTH = 20  # hex digits = 80 bits: a collision is not expected below 10^12 rows


def normalise(text: str) -> str:
    """NFC, outer space removed, inner runs of white space collapsed; case is kept."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def has_half_character(text: str) -> bool:
    """Whether a text holds a lone surrogate, as broken JSON escapes leave behind: no file or database can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def content_id(*parts: str | None) -> str:
    """Id of an ordered tuple of texts after `normalise`; None and "" differ."""
    payload = json.dumps([None if p is None else normalise(p) for p in parts], ensure_ascii=False)
    return hashlib.sha256(payload.encode()).hexdigest()[:ID_LENGTH]


def plan_hash(plan: dict[str, Any]) -> str:
    """Id of a JSON object, whatever the order of its keys."""
    payload = json.dumps(plan, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(payload.encode()).hexdigest()[:ID_LENGTH]
