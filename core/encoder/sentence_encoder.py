"""A sentence encoder folder (sentence-transformers layout): what its files say about pooling and length must be what we do."""

from __future__ import annotations

from pathlib import Path

import torch

from core.domain.encoder import EncoderSpec, Pooling
from core.encoder.files import read_json
from core.encoder.language_model import LanguageModelEncoder, load_base
from core.errors import ModelUnusable


def open_sentence_encoder(folder: Path, spec: EncoderSpec, *, device: torch.device) -> LanguageModelEncoder:
    """The encoder of `folder`, in float32: it is small, and its published scores are float32 ones.

    Raises:
        ModelUnusable: the folder pools in another way than the spec says.
    """
    pooling = read_json(folder / "1_Pooling" / "config.json") or {}
    means = pooling.get("pooling_mode_mean_tokens", spec.pooling is Pooling.MEAN)
    if means is not (spec.pooling is Pooling.MEAN):
        raise ModelUnusable(f"The model in {folder} does not pool by {spec.pooling.value}.", hint="Use the pooling its files name.")
    model, tokenizer = load_base(str(folder), dtype=torch.float32)
    return LanguageModelEncoder(model, tokenizer, spec, device=device)
