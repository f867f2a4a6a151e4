from __future__ import annotations

import pytest
import torch

from core.domain.encoder import Role
from core.encoder.language_model import embed
from core.encoder.packing import is_packing, use_packing
from core.training.adapters import trainable
from core.training.gradients import backward, pieces_of, weight_of
from core.training.losses import denominator, info_nce
from tests.core.training.runs import make_trainer

TEXTS = ["what is rain", "what is the longest river of the world, and where does it end", "water from the sky", "a long river " * 4]


def gradient(trainer, graph_tokens: int, *, packed: bool = False, by_piece: bool = False) -> tuple[float, torch.Tensor]:
    model, tokens, spec = trainer.encoder.model, trainer.encoder.tokens, trainer.encoder.spec
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            if "lora_B" in name:
                parameter.fill_(0.01)
    model.train()
    assert is_packing(model) is packed
    torch.manual_seed(5)
    pieces = pieces_of(tokens.ids(TEXTS, role=Role.DOCUMENT), padding=0, most_tokens=60, packed=packed)
    allowed = denominator(["a", "b"], ["c", "d"], [0, 1], [None, None])
    contrast, _ = backward(
        pieces,
        lambda batches: torch.cat([embed(model, [b], spec) for b in batches]) if by_piece else embed(model, batches, spec),
        lambda v: info_nce(v[:2], v[2:], torch.tensor([0, 1]), allowed=allowed, temperature=0.1),
        graph_tokens=graph_tokens,
    )
    return contrast.loss.item(), torch.cat([p.grad.flatten() for p in trainable(model).values()])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("packed", [False, True])
def test_the_cached_gradient_is_the_plain_one(tiny_decoder, tmp_path, dropout, packed):
    """With joined LoRA layers. Packed, dropout is drawn for a whole pass, so the plain gradient is taken over the same passes."""
    plain_loss, plain = gradient(make(tiny_decoder, tmp_path / "a", packed, dropout), graph_tokens=10**9, packed=packed, by_piece=True)
    cached_loss, cached = gradient(make(tiny_decoder, tmp_path / "b", packed, dropout), graph_tokens=0, packed=packed)
    assert plain.abs().max() > 1e-4
    rounding = 1e-5 if packed else 1e-6  # packed, the pass without a graph uses the fused attention kernel; gradients reach 5
    assert cached_loss == pytest.approx(plain_loss, abs=rounding)
    assert torch.allclose(cached, plain, rtol=1e-5, atol=5 * rounding)


def make(base, folder, packed: bool, dropout: float = 0.0):
    trainer = make_trainer(base, folder, lora_dropout=dropout)
    assert not packed or use_packing(trainer.encoder.model.get_base_model(), max_length=64)
    return trainer


def test_pieces_hold_every_text_once_and_stay_below_their_size():
    pieces = pieces_of([[1] * n for n in (5, 50, 6, 49, 7, 200)], padding=0, most_tokens=120)
    assert sorted(row for piece in pieces for row in piece.rows) == [0, 1, 2, 3, 4, 5]
    assert all(piece.tokens.ids.numel() <= 120 or len(piece.rows) == 1 for piece in pieces)


def test_long_texts_weigh_more_than_their_tokens():
    assert weight_of(1000, longest=70) == pytest.approx(1100)
    assert weight_of(1000, longest=1400) == pytest.approx(3000)


def test_packed_and_padded_texts_have_the_same_gradient(tiny_decoder, tmp_path):
    padded_loss, expected = gradient(make(tiny_decoder, tmp_path / "a", packed=False), graph_tokens=10**9)
    packed_loss, found = gradient(make(tiny_decoder, tmp_path / "b", packed=True), graph_tokens=10**9, packed=True)
    assert packed_loss == pytest.approx(padded_loss, abs=1e-5)
    assert torch.allclose(found, expected, atol=1e-5)
