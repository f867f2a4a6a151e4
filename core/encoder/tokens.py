"""Texts to token ids, the same way in training and in use.

The instruction stands before queries only. The end token is put after truncation, on both sides, so it is always there. Plain text is never
wrapped in a chat template, and markers such as `<|im_end|>` inside a text are read as ordinary characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from core.domain.encoder import EncoderSpec, Role, instructed_query
from core.errors import ModelUnusable

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Padded ids and what is real in them, both (texts, longest)."""

    ids: torch.Tensor  # int64
    mask: torch.Tensor  # int64, 1 = real

    def to(self, device: torch.device) -> TokenBatch:
        """The same batch on another device."""
        return TokenBatch(self.ids.to(device), self.mask.to(device))

    @property
    def real_tokens(self) -> int:
        """Tokens that are not padding."""
        return int(self.mask.sum())


class TextTokenizer:
    """Turns texts into ids as an EncoderSpec says."""

    def __init__(self, tokenizer: Any, spec: EncoderSpec) -> None:
        """`tokenizer` is one of transformers.

        Raises:
            ModelUnusable: the spec wants an end token and the model has none.
        """
        if spec.append_eos and tokenizer.eos_token_id is None:
            raise ModelUnusable(
                f"{spec.base} has no end token, and last-token vectors are read at one.",
                hint="Choose a decoder language model, or mean pooling without an end token.",
            )
        self.spec = spec
        self.tokenizer = tokenizer
        self.eos: int | None = tokenizer.eos_token_id if spec.append_eos else None
        pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        self.pad: int = next(p for p in pads if p is not None)  # masked out everywhere, so any valid id will do

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of markers such as end of text or a turn of a chat."""
        return frozenset(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}

    def ids(self, texts: Sequence[str], *, role: Role, task: str | None = None) -> list[list[int]]:
        """Ids of each text, at most `spec.max_length` of them, end token included."""
        if role is Role.QUERY and self.spec.instructed:
            texts = [instructed_query(task, text) for text in texts]
        if not texts:
            return []
        limit = self.spec.max_length
        if self.eos is None:  # a sentence encoder's own frame, for example [CLS] … [SEP], survives its own truncation
            return self._call(texts, truncation=True, max_length=limit)
        return [self._ended(ids, limit) for ids in self._call(texts, truncation=False)]

    def _call(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        # BOS comes with add_special_tokens where the model's tokenizer has one. verbose=False: long texts are cut below, no need to warn.
        encoded = self.tokenizer(list(texts), add_special_tokens=True, split_special_tokens=True, verbose=False, **options)
        return [list(ids) for ids in encoded["input_ids"]]

    def _ended(self, ids: list[int], limit: int) -> list[int]:
        assert self.eos is not None
        if ids and ids[-1] == self.eos:  # some tokenizers append it themselves
            ids = ids[:-1]
        return [*ids[: limit - 1], self.eos]


def pad(rows: Sequence[Sequence[int]], *, value: int, side: Side = "right") -> TokenBatch:
    """Rows of ids as one rectangle, filled with `value` on the given side."""
    longest = max(1, max(len(row) for row in rows))
    ids = torch.full((len(rows), longest), value, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for i, row in enumerate(rows):
        start = 0 if side == "right" else longest - len(row)
        ids[i, start : start + len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, start : start + len(row)] = 1
    return TokenBatch(ids, mask)
