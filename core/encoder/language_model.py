"""Any transformers model as a TextEncoder: base without its language-model head, with or without a peft adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.domain.encoder import LATER, EncoderSpec, Role
from core.encoder.base_shape import BaseShape, attend_both_ways, keep_trainable, loading_options
from core.encoder.files import ADAPTER_SETTINGS, read_json, sha256_of
from core.encoder.packing import forward_packed, is_packing, passes_of
from core.encoder.pooling import pool, positions
from core.encoder.tokens import TextTokenizer, TokenBatch, pad
from core.errors import ModelNotFound, ModelUnusable

ADAPTER_WEIGHTS = "adapter_model.safetensors"
AS_IT_IS = BaseShape()
# Tokens of a pass without gradient. On a CPU what a pass holds then stays in the cache (4,096 took a tenth longer than 2,048).
PASS_TOKENS = {"cpu": 2048, "cuda": 32_768}


class LanguageModelEncoder:
    """Texts to unit vectors by one forward pass of the base; the vocabulary's logits are never computed."""

    def __init__(self, model: Any, tokenizer: Any, spec: EncoderSpec, *, device: torch.device) -> None:
        self.spec = spec
        placed = model if getattr(model, "is_loaded_in_4bit", False) else model.to(device)  # 4-bit weights are where they were loaded
        self.model = placed.eval()
        self.tokens = TextTokenizer(tokenizer, spec)
        self.device = device
        self.dimensions = int(model.config.hidden_size)

    def encode(self, texts: Sequence[str], *, role: Role, task: str | None = None, batch_size: int = 32) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the order of `texts`. `task` is used for queries only.

        A model that takes packed rows is given PASS_TOKENS at a time, another one `batch_size` texts.
        """
        rows = self.tokens.ids(texts, role=role, task=task)
        vectors = np.zeros((len(rows), self.dimensions), dtype=np.float32)
        for groups in self._passes([len(row) for row in rows], batch_size):
            batches = [pad([rows[i] for i in some], value=self.tokens.pad).to(self.device) for some in groups]
            with torch.inference_mode():
                vectors[[i for some in groups for i in some]] = embed(self.model, batches, self.spec).cpu().numpy()
        return vectors

    def _passes(self, lengths: Sequence[int], batch_size: int) -> list[list[list[int]]]:
        if is_packing(self.model):
            return passes_of(lengths, most_tokens=PASS_TOKENS["cuda" if self.device.type == "cuda" else "cpu"])
        by_length = sorted(range(len(lengths)), key=lambda i: -lengths[i])  # like lengths together: little padding; longest first
        return [[by_length[start : start + batch_size]] for start in range(0, len(lengths), batch_size)]


def embed(model: Any, batches: Sequence[TokenBatch], spec: EncoderSpec) -> torch.Tensor:
    """Unit vectors (texts, width) in float32 of padded batches, batch after batch; gradients flow if they are on.

    A model that takes packed rows (see core.encoder.packing) does all batches in one pass.
    """
    if is_packing(model):
        states = forward_packed(model, batches)
    else:
        states = [
            model(input_ids=b.ids, attention_mask=b.mask, position_ids=positions(b.mask), **_no_cache(model)).last_hidden_state
            for b in batches
        ]
    return torch.cat([pool(found, batch.mask, spec.pooling) for found, batch in zip(states, batches, strict=True)])


def _no_cache(model: Any) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(model.config, "use_cache") and not model.config.model_type.startswith("bert") else {}


def pick_device(wanted: str) -> torch.device:
    """`auto` is the first GPU where there is one."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelUnusable(f"The device {wanted} was asked for and there is no GPU that PyTorch can use.", hint="Set TERCET_DEVICE=auto.")
    return torch.device(wanted)


def pick_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it (AMX, AVX-512 BF16, recent GPUs); float32 elsewhere, where bfloat16 would be emulated."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def load_base(folder: str, *, dtype: torch.dtype, shape: BaseShape = AS_IT_IS) -> tuple[Any, Any]:
    """Model without head, and tokenizer, of a folder or hub id. Safetensors only; code that comes with a model is never run.

    Raises:
        ModelNotFound: no such folder or id, or no network.
        ModelUnusable: files transformers cannot use, or a shape it cannot have.
    """
    with quiet_loading(folder):
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        options = loading_options(folder, shape, dtype=dtype)
        model = AutoModel.from_pretrained(
            folder, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, trust_remote_code=False, **options
        )
    if shape.four_bit:
        keep_trainable(model)
    if shape.bidirectional:
        attend_both_ways(model, name=folder)
    return model, tokenizer


def with_adapter(model: Any, spec: EncoderSpec) -> Any:
    """The model with the spec's adapter merged in.

    Raises:
        ModelNotFound: no adapter there.
        ModelUnusable: another adapter than the spec names, one for another shape of the base, or one that changes nothing.
    """
    folder = Path(spec.adapter or "")
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise ModelNotFound(f"There is no adapter in {folder}.", hint="The run may not have saved one yet; see its page.")
    if spec.adapter_hash and sha256_of(weights) != spec.adapter_hash:
        raise ModelUnusable(f"The adapter in {folder} was changed since its run ended.", hint="Resume or repeat the run.")
    trained = read_json(folder / ADAPTER_SETTINGS) or {}
    wrong = [name for name in LATER if (trained.get(name) or None) != (getattr(spec, name) or None)]
    if trained and wrong:
        told = ", ".join(f"{name} {trained.get(name)}" for name in wrong)
        raise ModelUnusable(f"The adapter in {folder} was trained with {told}.", hint="Open it with the run's own settings: run:<job id>.")
    with quiet_loading(str(folder)):
        from peft import PeftModel

        tuned = PeftModel.from_pretrained(model, folder)
    if all(not bool(p.detach().any()) for name, p in tuned.named_parameters() if "lora_B" in name):
        raise ModelUnusable(f"The adapter in {folder} changes nothing: all its B matrices are zero.", hint="Train for more steps.")
    return tuned.merge_and_unload()


@contextmanager
def quiet_loading(name: str) -> Iterator[None]:
    """Load something with transformers: no bars on the terminal, errors of ours.

    Raises:
        ModelNotFound, ModelUnusable: in place of whatever the library raised.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        yield
    except OSError as error:
        raise ModelNotFound(
            f"The model {name} cannot be loaded: {_first_line(error)}",
            hint="Check the spelling (owner/name, or a folder with safetensors), the network, and HF_TOKEN for a model that asks for it.",
        ) from error
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelUnusable(
            f"The model {name} cannot be used: {_first_line(error)}",
            hint="It must be a transformers model with a tokenizer, in safetensors, that needs no code of its own.",
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
