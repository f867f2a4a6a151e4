"""EncoderSpec -> TextEncoder: the one place that knows which model a name stands for."""

from __future__ import annotations

from pathlib import Path

import torch

from core.domain.encoder import EMBEDDED_BASE, EMBEDDED_BASELINE, EncoderSpec
from core.encoder.base_shape import BaseShape
from core.encoder.embedded import baseline_folder, decoder_folder
from core.encoder.hub import hub_folder
from core.encoder.language_model import LanguageModelEncoder, load_base, pick_device, pick_dtype, with_adapter
from core.encoder.packing import use_packing
from core.encoder.sentence_encoder import open_sentence_encoder
from core.encoder.text_encoder import TextEncoder
from core.errors import ModelNotFound
from core.settings import Settings


def open_encoder(spec: EncoderSpec, settings: Settings, *, device: str | None = None) -> TextEncoder:
    """Load the encoder a spec describes (the embedded ones take about a second).

    Raises:
        ModelNotFound, ModelUnusable, ChecksumMismatch: with what to do.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    place = pick_device(device or settings.device)
    if spec.base == EMBEDDED_BASELINE:
        return open_sentence_encoder(baseline_folder(), spec, device=place)
    dtype = pick_dtype(place)
    source = resolve_base(spec.base, settings)
    shape = BaseShape(layers=spec.layers, bidirectional=spec.bidirectional)
    if spec.adapter is None:
        model, tokenizer = load_base(source, dtype=dtype, shape=shape)
    else:  # merged in float32, rounded once
        model, tokenizer = load_base(source, dtype=torch.float32, shape=shape)
        model = with_adapter(model, spec).to(dtype)
    model = model.to(place)
    use_packing(model, max_length=spec.max_length)
    return LanguageModelEncoder(model, tokenizer, spec, device=place)


def resolve_base(base: str, settings: Settings) -> str:
    """Folder of a base model, fetched from the hub first where it must be.

    Raises:
        ModelNotFound: a name of ours that does not exist, a path without a folder, or an unknown hub id.
    """
    if base == EMBEDDED_BASE:
        return str(decoder_folder(settings))
    if base.startswith("embedded:"):
        raise ModelNotFound(f"There is no embedded model {base}.", hint=f"The embedded ones are {EMBEDDED_BASE} and {EMBEDDED_BASELINE}.")
    path = Path(base).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFound(f"The folder {base} holds no model.", hint="Give the folder with config.json and the safetensors files.")
        return str(path.resolve())
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise ModelNotFound(f"There is no folder {base}.", hint="Give the folder that holds config.json and the safetensors files.")
    return hub_folder(base)
