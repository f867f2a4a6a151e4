"""How many tokens may go through the model at once, keeping their activations: found from the machine, never asked of a person."""

from __future__ import annotations

import os
from typing import Any

import psutil
import torch

from core.domain.encoder import EncoderSpec
from core.encoder.language_model import embed
from core.encoder.tokens import TokenBatch
from core.training.gradients import is_out_of_memory
from core.training.graph_size import GRAPH_TOKENS, weight_of

PROBE_TOKENS, MOST_TOKENS = 4096, 1_048_576
SHARE = 0.7  # of the free memory that activations may take; the rest is for gradients, the vocabulary of allocators and other programs
ELEMENTS = (14, 8)  # activations kept a token and layer, in units of hidden and inner width: 1.2 MB for the embedded decoder in bfloat16


def find_budget(model: Any, spec: EncoderSpec, device: torch.device) -> int:
    """Tokens of short texts whose activations fit beside what is loaded (see `weight_of` for longer ones).

    On a GPU one short training pass is measured; a power of two, so that the same machine finds the same. On a CPU more than GRAPH_TOKENS
    was never faster, so memory, which the processes of a host share, only lowers it.
    """
    if device.type == "cuda":
        token_bytes = _measured_bytes(model, spec, device)
        torch.cuda.empty_cache()  # what torch holds in reserve is free as well
        found = budget_of(token_bytes, torch.cuda.mem_get_info(device)[0], most=MOST_TOKENS)
        return int(2 ** (found.bit_length() - 1))
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return budget_of(_estimated_bytes(model), psutil.virtual_memory().available / beside, most=GRAPH_TOKENS)


def budget_of(token_bytes: float, free_bytes: float, *, most: int) -> int:
    """Tokens that fit a share of the free memory, from 64 to `most`."""
    return max(64, min(most, int(SHARE * free_bytes / token_bytes)))


def _estimated_bytes(model: Any) -> float:
    config = model.config
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    elements = config.num_hidden_layers * (ELEMENTS[0] * config.hidden_size + ELEMENTS[1] * inner)
    return float(elements * model.dtype.itemsize)


def _measured_bytes(model: Any, spec: EncoderSpec, device: torch.device) -> float:
    """Bytes a token of weight 1 takes in a forward pass with a graph, on made-up texts as long as the plan allows."""
    tokens = PROBE_TOKENS
    model.train()
    while True:
        texts = max(1, tokens // spec.max_length)
        ids = torch.full((texts, min(spec.max_length, tokens)), 5, device=device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        try:
            embed(model, [TokenBatch(ids, torch.ones_like(ids))], spec).sum().backward()
        except RuntimeError as error:
            if not is_out_of_memory(error) or tokens <= spec.max_length // 8:
                raise
            tokens //= 2
            continue
        finally:
            model.zero_grad(set_to_none=True)
        taken = torch.cuda.max_memory_allocated(device) - before
        return taken / weight_of(ids.numel(), longest=ids.shape[1])
