"""LoRA on every linear layer of a decoder, by peft, in peft's standard layout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from core.encoder.language_model import ADAPTER_WEIGHTS
from core.errors import ModelUnusable
from core.storage.artifacts import sha256_of
from core.storage.database import translated_errors


def attach(model: Any, *, rank: int, alpha: int, dropout: float, base_name: str, seed: int) -> Any:
    """The model with a fresh adapter: its own weights frozen, A drawn from `seed`, B zero. Adapter weights are float32.

    Raises:
        ModelUnusable: it has no linear layers peft can adapt.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    torch.manual_seed(seed)
    model.name_or_path = base_name
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", task_type=TaskType.FEATURE_EXTRACTION, bias="none"
    )
    try:
        tuned = get_peft_model(model, config)
    except ValueError as error:
        raise ModelUnusable(f"No adapter can be put on {base_name}: {error}", hint="Choose a decoder language model.") from error
    for parameter in trainable(tuned).values():
        parameter.data = parameter.data.float()
    return tuned


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: parameter for name, parameter in sorted(model.named_parameters()) if parameter.requires_grad}


def adapted_modules(model: Any) -> int:
    """How many linear layers carry the adapter."""
    return sum(name.endswith("lora_B.default.weight") for name in trainable(model))


def change_norm(model: Any) -> float:
    """Norm of all B matrices together: 0 for a fresh adapter, which changes nothing, and growing as it learns."""
    squares = [p.detach().square().sum() for name, p in trainable(model).items() if ".lora_B." in name]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def save_adapter(model: Any, folder: Path) -> str:
    """Write the adapter where PeftModel.from_pretrained finds it, in one step; returns the SHA-256 of its weights."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    with translated_errors():
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(temporary, safe_serialization=True, save_embedding_layers=False)  # else peft asks the hub
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    return sha256_of(folder / ADAPTER_WEIGHTS)
