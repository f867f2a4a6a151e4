"""Batches of texts of different lengths as one row of tokens.

Every linear layer then sees all tokens of a step at once: on a CPU a product has a fixed price (the weights are read and laid out anew for
each call), and short pieces pay it as long ones do. Attention stays within each text, batch by batch: texts of one have like lengths.
Padding is on the right and attention is causal, so no real token ever sees a padded one and no mask is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from core.encoder.tokens import TokenBatch

PACKED = "tercet_packed"  # the name transformers knows the attention by
SLACK, SPARE_TOKENS = 1.125, 2  # how much longer than the shortest the longest text of a batch may be: share, and tokens on top
SAME = 0.99  # cosine of a token's state packed and alone; rounding in bfloat16 stays above it


def use_packing(model: Any, *, max_length: int) -> bool:
    """Let a causal transformers model take packed rows from now on; False where its attention is of another kind: it stays as it is."""
    from transformers import AttentionInterface

    config = model.config
    window = getattr(config, "sliding_window", None)
    plain = not getattr(config, "attn_logit_softcapping", None) and (window is None or window >= max_length)
    layers = [m for m in model.modules() if getattr(m, "is_causal", None) is not None and hasattr(m, "scaling")]
    if not (plain and model._supports_attention_backend and layers and all(m.is_causal for m in layers)):
        return False
    AttentionInterface.register(PACKED, _attend)
    before, usual = config._attn_implementation, _probe(model)
    model.set_attn_implementation(PACKED)
    try:
        same = bool(F.cosine_similarity(usual, _probe(model), dim=-1).min() > SAME)
    except (RuntimeError, TypeError, KeyError, ValueError):
        same = False
    if not same:
        model.set_attn_implementation(before)
    return same


def _probe(model: Any) -> torch.Tensor:
    """States of two short made-up texts, (tokens, width), each alone where the model takes no packed rows, side by side where it does.

    Some models mix tokens outside their attention (convolutions, state spaces) or add to it (sinks): their texts would feel each other.
    """
    device = next(model.parameters()).device
    highest = min(1000, int(model.config.vocab_size))
    rows = [(torch.arange(length, device=device) * step + 3).remainder(highest).unsqueeze(0) for length, step in ((24, 7), (17, 11))]
    with torch.enable_grad():  # the way training goes
        if is_packing(model):
            states = forward_packed(model, [TokenBatch(row, torch.ones_like(row)) for row in rows])
        else:
            states = [model(input_ids=row, attention_mask=torch.ones_like(row), use_cache=False).last_hidden_state for row in rows]
    return torch.cat([found[0] for found in states]).detach().float()


def is_packing(model: Any) -> bool:
    """Whether `use_packing` was called for this model and said yes."""
    return bool(getattr(model.config, "_attn_implementation", None) == PACKED)


def forward_packed(model: Any, batches: Sequence[TokenBatch]) -> list[torch.Tensor]:
    """States of every batch, each (texts, tokens, width), from one pass over all of them. Batches are padded on the right."""
    shapes = [tuple(batch.ids.shape) for batch in batches]
    ids = torch.cat([batch.ids.flatten() for batch in batches]).unsqueeze(0)
    places = torch.cat([torch.arange(length, device=ids.device).repeat(count) for count, length in shapes]).unsqueeze(0)
    states = model(input_ids=ids, position_ids=places, use_cache=False, packed_shapes=shapes).last_hidden_state[0]
    parts = states.split([count * length for count, length in shapes])
    return [part.unflatten(0, shape) for part, shape in zip(parts, shapes, strict=True)]


def passes_of(lengths: Sequence[int], *, most_tokens: int) -> list[list[list[int]]]:
    """Texts dealt out to passes through the model, each a list of batches for `forward_packed`: places in `lengths`, longest texts first.

    Texts of one batch differ in length by an eighth at most, and a pass holds `most_tokens` with its padding, or one longer text.
    """
    passes: list[list[list[int]]] = []
    room = 0
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        group = passes[-1][-1] if passes else []
        longest = lengths[group[0]] if group else 0
        joins = bool(group) and longest <= SLACK * lengths[place] + SPARE_TOKENS
        cost = longest if joins else lengths[place]
        if cost > room:
            passes.append([[place]])
            room = most_tokens - lengths[place]
            continue
        room -= cost
        if joins:
            group.append(place)
        else:
            passes[-1].append([place])
    return passes


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _mask: torch.Tensor | None, **options: Any
) -> tuple[torch.Tensor, None]:
    """Transformers' attention interface: query (1, heads, tokens, d), key and value (1, key heads, tokens, d) -> (1, tokens, heads, d)."""
    shapes: list[tuple[int, int]] = options["packed_shapes"]
    sizes = [count * length for count, length in shapes]
    fused = query.is_cuda or not torch.is_grad_enabled()  # in bfloat16 on a CPU the fused kernel's backward is the slower one
    attend = _fused if fused else _by_products
    parts = zip(*(states[0].split(sizes, dim=1) for states in (query, key, value)), strict=True)  # split, whose backward is one cat
    told = {"scaling": options["scaling"], "dropout": options.get("dropout", 0.0)}
    outputs = [attend(*(part.unflatten(1, shape) for part in some), **told) for some, shape in zip(parts, shapes, strict=True)]
    return torch.cat(outputs).unsqueeze(0), None


def _by_products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, scaling: float, dropout: float) -> torch.Tensor:
    """Causal attention of one batch by two matrix products: (heads, texts, tokens, d) -> (texts * tokens, heads, d)."""
    heads, texts, length, width = q.shape
    shared = heads // k.shape[0]  # heads that read the same key head stand below one another in one product
    q = (q * scaling).unflatten(0, (-1, shared)).transpose(1, 2).reshape(-1, texts, shared * length, width)
    scores = torch.matmul(q, k.transpose(2, 3)).view(-1, texts, shared, length, length)
    hidden = torch.full((length, length), float("-inf"), dtype=scores.dtype, device=scores.device).triu(1)
    weights = F.softmax(scores + hidden, dim=-1, dtype=torch.float32).to(v.dtype)
    if dropout:
        weights = F.dropout(weights, p=dropout)
    mixed = torch.matmul(weights.view(-1, texts, shared * length, length), v)
    return mixed.view(-1, texts, shared, length, v.shape[-1]).permute(1, 3, 0, 2, 4).reshape(texts * length, heads, v.shape[-1])


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, scaling: float, dropout: float) -> torch.Tensor:
    """The same by torch's fused kernel."""
    q, k, v = (states.transpose(0, 1) for states in (q, k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=True)
    return mixed.permute(0, 2, 1, 3).flatten(0, 1)
