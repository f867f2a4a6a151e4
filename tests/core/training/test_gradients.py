from __future__ import annotations

import pytest
import torch

from core.domain.encoder import Role
from core.encoder.language_model import embed
from core.training.adapters import trainable
from core.training.gradients import backward, pieces_of
from core.training.losses import denominator, info_nce
from tests.core.training.runs import make_trainer

TEXTS = ["what is rain", "what is the longest river of the world, and where does it end", "water from the sky", "a long river " * 4]


def gradient(trainer, graph_tokens: int) -> tuple[float, torch.Tensor]:
    model, tokens, spec = trainer.encoder.model, trainer.encoder.tokens, trainer.encoder.spec
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            if "lora_B" in name:
                parameter.fill_(0.01)
    model.train()
    torch.manual_seed(5)
    pieces = pieces_of(tokens.ids(TEXTS, role=Role.DOCUMENT), padding=0, most_tokens=60)
    allowed = denominator(["a", "b"], ["c", "d"], [0, 1], [None, None])
    contrast, _ = backward(
        pieces,
        lambda batches: embed(model, batches, spec),
        lambda v: info_nce(v[:2], v[2:], torch.tensor([0, 1]), allowed=allowed, temperature=0.1),
        graph_tokens=graph_tokens,
    )
    return contrast.loss.item(), torch.cat([p.grad.flatten() for p in trainable(model).values()])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_cached_gradient_is_the_plain_one(tiny_decoder, tmp_path, dropout):
    plain_loss, plain = gradient(make_trainer(tiny_decoder, tmp_path / "a", lora_dropout=dropout), graph_tokens=10**9)
    cached_loss, cached = gradient(make_trainer(tiny_decoder, tmp_path / "b", lora_dropout=dropout), graph_tokens=0)
    assert plain.abs().max() > 1e-4
    assert cached_loss == pytest.approx(plain_loss, abs=1e-6)
    assert torch.allclose(cached, plain, atol=1e-6)


def test_pieces_hold_every_text_once_and_stay_below_their_size():
    pieces = pieces_of([[1] * n for n in (5, 50, 6, 49, 7, 200)], padding=0, most_tokens=120)
    assert sorted(row for piece in pieces for row in piece.rows) == [0, 1, 2, 3, 4, 5]
    assert all(piece.tokens.ids.numel() <= 120 or len(piece.rows) == 1 for piece in pieces)
