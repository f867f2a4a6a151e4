"""Token states to one vector a text. What is real is read from the attention mask, so the padding side does not matter."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from core.domain.encoder import Pooling


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Unit vectors (texts, width) in float32 from states (texts, tokens, width) and a mask (texts, tokens)."""
    pooled = last_token(states, mask) if pooling is Pooling.LAST_TOKEN else mean(states, mask)
    return F.normalize(pooled.float(), dim=-1)


def last_token(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """State of the last real token, (texts, width)."""
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * places).argmax(dim=1)
    return states[torch.arange(states.shape[0], device=states.device), last]


def mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the real tokens, summed in float32, (texts, width)."""
    weights = mask.unsqueeze(-1).float()
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Position of each real token counted from the first real one, (texts, tokens): padding on the left must not shift a text."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)
