"""A linear layer with its LoRA branch as one differentiable function: y = x W' + b + s (x A') B'.

peft computes the branch in the adapter's float32, with casts of every activation to and fro, and keeps each intermediate for the backward
pass. Here both products run in the layer's own precision, the branch is added in place, and only x and x A' are kept. The adapter's
weights and their gradients stay float32. What it saves is measured by bench.training.
"""

from __future__ import annotations

from typing import Any

import torch

ADAPTER = "default"  # the name peft gives the only adapter


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913 - autograd passes every input by position
        ctx: Any,
        x: torch.Tensor,
        dropped: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """Shapes: x and dropped (..., in), weight (out, in), a (rank, in), b (out, rank). `dropped` is x after dropout, None without."""
        flat = x.reshape(-1, x.shape[-1])
        into = flat if dropped is None else dropped.reshape(flat.shape)
        low = into @ a.to(x.dtype).t()
        y = torch.nn.functional.linear(flat, weight, bias)
        y.addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(into, low, weight, a, b)
        ctx.scale, ctx.shape, ctx.dropout = scale, x.shape, dropped is not None
        return y.reshape(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        into, low, weight, a, b = ctx.saved_tensors
        gradient = outputs[0].reshape(-1, weight.shape[0])
        low_gradient = (gradient @ b.to(gradient.dtype)).mul_(ctx.scale)
        to_b = (gradient.t() @ low).to(b.dtype).mul_(ctx.scale)
        to_a = (low_gradient.t() @ into).to(a.dtype)
        to_x = gradient @ weight if ctx.needs_input_grad[0] else None
        to_dropped = None
        if ctx.dropout:
            to_dropped = (low_gradient @ a.to(gradient.dtype)).reshape(ctx.shape)
        elif to_x is not None:
            to_x.addmm_(low_gradient, a.to(gradient.dtype))
        return (None if to_x is None else to_x.reshape(ctx.shape)), to_dropped, None, None, to_a, to_b, None


def join_products(model: Any) -> int:
    """Let every peft LoRA layer of `model` that is plain (a linear base, one adapter) compute jointly; returns how many do.

    The modules, their names and their weights stay peft's, so saving and loading are untouched.
    """
    from peft.tuners.lora.layer import Linear

    joined = 0
    for module in model.modules():
        if isinstance(module, Linear) and _is_plain(module):
            module.forward = _forward_of(module)
            joined += 1
    return joined


def _is_plain(module: Any) -> bool:
    return (
        isinstance(module.base_layer, torch.nn.Linear)
        and list(module.lora_A) == [ADAPTER]
        and ADAPTER not in module.lora_variant
        and not module.fan_in_fan_out
    )


def _forward_of(module: Any) -> Any:
    base, a, b, scale = module.base_layer, module.lora_A[ADAPTER], module.lora_B[ADAPTER], module.scaling[ADAPTER]
    dropout = module.lora_dropout[ADAPTER]

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = x.to(base.weight.dtype)
        dropped = None if isinstance(dropout, torch.nn.Identity) or not dropout.training else dropout(x)
        return _LoraLinear.apply(x, dropped, base.weight, base.bias, a.weight, b.weight, scale)

    return forward
