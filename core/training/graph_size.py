"""How much of a batch fits one graph of activations. Loads no torch: a plan is inspected with the numbers it is trained with."""

from __future__ import annotations

GRAPH_TOKENS = 5120  # 1.0 to 1.4 MB of activations a token, packed: up to 8 GB in all for the embedded decoder
ATTENTION_TOKENS = 700  # text length at which attention keeps as much a token as all the rest: 6 bytes a head, layer and token


def weight_of(tokens: int, *, longest: int) -> float:
    """What tokens of texts of this length weigh in memory, counted in tokens of short texts: attention keeps a row for each of them."""
    return tokens * (1 + longest / ATTENTION_TOKENS)
