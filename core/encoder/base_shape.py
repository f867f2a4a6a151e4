"""What a base may be changed to when it is loaded: its first layers only, attention both ways, 4-bit weights."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from core.errors import ModelUnusable

if TYPE_CHECKING:  # a plan is checked with this module, without loading torch
    import torch

SEEN = 1e-4  # relative change of the first token's state by which it shows that it sees later ones


@dataclass(frozen=True, slots=True)
class BaseShape:
    """How a base differs from its files; the plain value changes nothing."""

    layers: int | None = None
    bidirectional: bool = False
    four_bit: bool = False

    @property
    def plain(self) -> bool:
        """Whether the base is taken as it is."""
        return self == BaseShape()


def loading_options(folder: str, shape: BaseShape, *, dtype: torch.dtype) -> dict[str, Any]:
    """What from_pretrained is told; only the layers that are kept are read.

    Raises:
        ModelUnusable: the base has fewer layers, or bitsandbytes is not installed.
    """
    options: dict[str, Any] = {}
    if shape.layers is not None:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        there = getattr(config, "num_hidden_layers", 0)
        if shape.layers > there:
            raise ModelUnusable(f"{folder} has {there} layers, not {shape.layers}.", hint=f"Keep at most {there}.")
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[: shape.layers]
        config.num_hidden_layers = shape.layers
        options["config"] = config
    if shape.four_bit:
        require_bitsandbytes()
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    return options


def has_bitsandbytes() -> bool:
    """Whether the package that 4-bit bases need is installed."""
    return find_spec("bitsandbytes") is not None


def require_bitsandbytes() -> None:
    """Raises ModelUnusable where the package that 4-bit bases need is missing."""
    if not has_bitsandbytes():
        raise ModelUnusable(
            "A base in 4 bits needs the package bitsandbytes, which is not installed.",
            hint="Install it into Tercet's environment (pip install bitsandbytes), or train without 4 bits.",
        )


def keep_trainable(model: Any) -> None:
    """Keep bitsandbytes from laying out 4-bit weights anew for inference on a CPU, as it does at the first look between two steps."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def attend_both_ways(model: Any, *, name: str) -> None:
    """Let every token see every other of its text, in training and in use.

    Raises:
        ModelUnusable: its attention stays one way, or goes through a cache of its own kind.
    """
    model.config.is_causal = False  # for transformers' masks
    for module in model.modules():
        if getattr(module, "is_causal", None) is True:  # for the attention kernels where no mask is needed
            module.is_causal = False
    if not _sees_later_tokens(model):
        raise ModelUnusable(f"The attention of {name} cannot be made to go both ways.", hint="Use it one way, as it was trained.")


def _sees_later_tokens(model: Any) -> bool:
    """Whether the first token's state follows the last token, with padding in the batch and without."""
    import torch

    device = next(model.parameters()).device
    ids = torch.tensor([[3, 4, 5, 6], [3, 4, 5, 7]], device=device)
    mask = torch.ones_like(ids)
    padded = torch.nn.functional.pad(ids, (0, 1)), torch.nn.functional.pad(mask, (0, 1))
    padded[1][1, 4] = 1
    with torch.no_grad():
        for some, real in ((ids, mask), padded):
            first = model(input_ids=some, attention_mask=real).last_hidden_state[:, 0].float()
            if not bool((first[0] - first[1]).norm() > SEEN * first[0].norm()):
                return False
    return True
