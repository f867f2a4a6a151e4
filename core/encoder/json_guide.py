"""Decoding held to a JSON schema, and to an end: every reply parses.

llguidance says which tokens the schema allows next. On top of it, each string has a budget of tokens: past the soft limit it is closed
at the end of a sentence, past the hard limit as soon as the schema allows, so that a small model that rambles still ends its object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from core.errors import BadInput

OVERHEAD_TOKENS = 12  # key, quotes and separators of one value
SOFT_SHARE = 0.6
LONGEST_STRING_TOKENS = 160
DEFAULT_ITEMS = 8  # of an array whose schema gives no maximum
SENTENCE_ENDS = (b".", b"!", b"?", "。".encode(), "！".encode(), "？".encode())


class Vocabulary:
    """What the guide must know of a tokenizer; built once (about a second)."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        from llguidance.hf import from_tokenizer

        self.guidance = from_tokenizer(tokenizer, n_vocab=size)
        self.size = size
        self.eos: int = tokenizer.eos_token_id
        self.bytes = [self.guidance.decode_bytes([i]) for i in range(size)]
        self.closing = torch.tensor([b.startswith(b'"') for b in self.bytes])  # tokens that end a string


class JsonGuide:
    """State of one reply."""

    def __init__(self, vocabulary: Vocabulary, schema: Mapping[str, Any], *, max_tokens: int) -> None:
        """Start a reply.

        Raises:
            BadInput: the schema is none llguidance understands.
        """
        from llguidance import LLMatcher

        bounded = bound_arrays(schema)
        # Fixed spacing, the usual one: a small model may write blanks for ever, and writes worse in an unusual format.
        options = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(bounded), overrides=options)
        self._matcher = LLMatcher(vocabulary.guidance, grammar, log_level=0)
        if self._matcher.is_error():
            reason = self._matcher.get_error().splitlines()[0]
            raise BadInput(f"The reply schema cannot be used: {reason}", hint="Use objects, arrays, strings and numbers.")
        self._vocabulary = vocabulary
        values = max(1, count_values(bounded))
        self._hard = max(4, min(LONGEST_STRING_TOKENS, max_tokens // values - OVERHEAD_TOKENS))
        self._in_string = self._escaped = False
        self._string_tokens = 0
        self._last = b""

    @property
    def done(self) -> bool:
        """Whether the reply is complete."""
        return bool(self._matcher.is_stopped())

    def forced(self) -> list[int]:
        """Tokens that must come next whatever the model thinks: keys and punctuation."""
        return list(self._matcher.compute_ff_tokens())

    def allowed(self) -> torch.Tensor:
        """Boolean mask over the vocabulary."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocabulary.size].astype(bool))
        if self._in_string and self._should_close():
            closing = mask & self._vocabulary.closing
            if bool(closing.any()):  # not before minLength
                return closing
        return mask

    def accept(self, token: int) -> None:
        """Take one token."""
        self._matcher.consume_token(token)
        text = self._vocabulary.bytes[token]
        self._last = text
        self._string_tokens += 1
        for byte in text:
            self._scan(byte)

    def _should_close(self) -> bool:
        if self._string_tokens >= self._hard:
            return True
        return self._string_tokens >= self._hard * SOFT_SHARE and self._last.rstrip().endswith(SENTENCE_ENDS)

    def _scan(self, byte: int) -> None:
        if self._escaped:
            self._escaped = False
        elif self._in_string and byte == ord("\\"):
            self._escaped = True
        elif byte == ord('"'):
            self._in_string = not self._in_string
            self._string_tokens = 0


def bound_arrays(schema: Any) -> Any:
    """The schema with a minimum and a maximum on every array, so that a list has something and ends."""
    if isinstance(schema, Mapping):
        bounded = {key: bound_arrays(value) for key, value in schema.items()}
        if bounded.get("type") == "array":
            bounded.setdefault("maxItems", max(DEFAULT_ITEMS, bounded.get("minItems", 0)))
            bounded.setdefault("minItems", min(1, bounded["maxItems"]))  # an empty list fits a schema and helps nobody
        return bounded
    return [bound_arrays(item) for item in schema] if isinstance(schema, list) else schema


def count_values(schema: Any) -> int:
    """How many strings and numbers a reply can hold at most."""
    if not isinstance(schema, Mapping):
        return 0
    if schema.get("type") == "array":
        return int(schema["maxItems"]) * count_values(schema.get("items", {}))
    if schema.get("type") == "object":
        return sum(count_values(value) for value in schema.get("properties", {}).values())
    return 1
