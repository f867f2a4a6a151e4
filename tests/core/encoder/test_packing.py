from __future__ import annotations

import pytest
import torch

from core.domain.encoder import EncoderSpec, Pooling
from core.encoder.language_model import embed
from core.encoder.packing import _by_products, _fused, is_packing, passes_of, use_packing
from core.encoder.tokens import pad

BATCHES = ([[5, 6, 7], [8, 9]], [[10, 11, 12, 13, 14, 15, 16], [17, 18, 19, 20, 21, 22], [23, 24, 25, 26, 27]], [[28]])


def grouped_query_model(**fields):
    """Two key heads for four query heads; weights large enough that positions and neighbours matter."""
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = LlamaModel(LlamaConfig(vocab_size=40, initializer_range=0.4, **{**sizes, **fields}))
    model.set_attn_implementation("eager")
    return model


def vectors_and_gradient(model, batches, pooling, *, training: bool):
    model.zero_grad()
    with torch.set_grad_enabled(training):
        vectors = embed(model, [pad(rows, value=0) for rows in batches], EncoderSpec(pooling=pooling))
    if training:
        (vectors * torch.linspace(-1, 1, vectors.numel()).reshape(vectors.shape)).sum().backward()
    return vectors.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("training", [True, False])  # two products with a gradient, the fused kernel without
def test_packed_texts_have_the_vectors_and_gradients_of_padded_ones(pooling, training):
    padded = vectors_and_gradient(grouped_query_model(), BATCHES, pooling, training=training)
    model = grouped_query_model()
    assert use_packing(model, max_length=64)
    packed = vectors_and_gradient(model, BATCHES, pooling, training=training)
    assert torch.allclose(padded[0], packed[0], atol=1e-5)
    assert len(padded[1]) == len(packed[1])
    for expected, found in zip(padded[1], packed[1], strict=True):
        assert torch.allclose(expected, found, rtol=1e-3, atol=1e-5)
    if training:
        assert max(float(g.abs().max()) for g in packed[1]) > 0.01


def test_what_stands_beside_a_text_does_not_change_its_vector():
    model = grouped_query_model()
    use_packing(model, max_length=64)
    alone = embed(model, [pad([BATCHES[1][1]], value=0)], EncoderSpec())
    beside = embed(model, [pad(rows, value=0) for rows in BATCHES], EncoderSpec())[3]
    assert torch.allclose(alone[0], beside, atol=1e-5)


def test_a_model_of_another_kind_stays_as_it_is():
    from transformers import BertConfig, BertModel, MistralConfig, MistralModel

    size = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = BertModel(BertConfig(**size))
    window = MistralModel(MistralConfig(**size, num_key_value_heads=1, sliding_window=8))
    for model in (bert, window):
        assert not use_packing(model, max_length=64)
        assert not is_packing(model)
    assert use_packing(window, max_length=8)  # no text is longer than the window


def test_models_whose_texts_would_feel_each_other_are_refused():
    from transformers import GptOssConfig, GptOssModel, Lfm2Config, Lfm2Model

    torch.manual_seed(0)
    size = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    convolutions = Lfm2Model(Lfm2Config(**size, intermediate_size=32, layer_types=["conv", "full_attention"], initializer_range=0.4))
    sinks = GptOssModel(
        GptOssConfig(**size, intermediate_size=32, head_dim=8, num_local_experts=2, num_experts_per_tok=1, initializer_range=0.4)
    )
    for layer in sinks.layers:
        torch.nn.init.normal_(layer.self_attn.sinks, mean=2.0)
    for model in (convolutions, sinks):
        before = model.config._attn_implementation
        assert not use_packing(model, max_length=64)
        assert model.config._attn_implementation == before


def test_passes_hold_every_text_once_within_the_budget_and_batches_are_of_like_length():
    lengths = [50, 3, 200, 49, 51, 7, 8, 45, 500, 50]
    passes = passes_of(lengths, most_tokens=210)
    assert sorted(i for groups in passes for some in groups for i in some) == list(range(len(lengths)))
    assert passes[0] == [[8]]  # one that is longer than the budget goes alone
    for groups in passes[1:]:
        assert sum(len(some) * max(lengths[i] for i in some) for some in groups) <= 210
        assert all(max(lengths[i] for i in some) <= 1.125 * min(lengths[i] for i in some) + 2 for some in groups)


@pytest.mark.parametrize("attend", [_by_products, _fused])
def test_attention_dropout_draws_and_its_mean_is_attention_without_it(attend):
    torch.manual_seed(0)
    q, k, v = torch.randn(4, 2, 5, 8), torch.randn(2, 2, 5, 8), torch.rand(2, 2, 5, 8)
    whole = attend(q, k, v, scaling=0.3, dropout=0.0)
    draws = torch.stack([attend(q, k, v, scaling=0.3, dropout=0.25) for _ in range(2000)])
    assert not torch.equal(draws[0], draws[1])
    assert float((draws.mean(0) - whole).abs().max()) < 0.05


def test_a_base_with_attention_dropout_has_it_packed_in_training_and_never_in_use():
    model = grouped_query_model(attention_dropout=0.5).eval()  # as it is loaded
    assert use_packing(model, max_length=64)
    batches = [pad(rows, value=0) for rows in BATCHES]
    model.train()
    assert not torch.allclose(embed(model, batches, EncoderSpec()), embed(model, batches, EncoderSpec()), atol=1e-3)
    model.eval()
    without = grouped_query_model().eval()
    assert torch.allclose(embed(model, batches, EncoderSpec()), embed(without, batches, EncoderSpec()), atol=1e-5)
