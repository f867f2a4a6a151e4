from __future__ import annotations

import torch

from core.domain.encoder import Pooling
from core.encoder.pooling import last_token, mean, pool, positions

STATES = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[9.0, 9.0], [0.0, 2.0], [6.0, 8.0]]])  # 9s are padding
MASK = torch.tensor([[1, 1, 0], [0, 1, 1]])  # padded on the right, then on the left


def test_last_token_is_the_last_real_one_on_either_side():
    assert last_token(STATES, MASK).tolist() == [[3.0, 4.0], [6.0, 8.0]]


def test_mean_counts_real_tokens_only():
    assert mean(STATES, MASK).tolist() == [[2.0, 2.0], [3.0, 5.0]]


def test_pooled_vectors_have_unit_length():
    assert torch.allclose(pool(STATES, MASK, Pooling.LAST_TOKEN), torch.tensor([[0.6, 0.8], [0.6, 0.8]]))


def test_positions_start_at_the_first_real_token():
    assert positions(MASK).tolist() == [[0, 1, 1], [0, 0, 1]]
