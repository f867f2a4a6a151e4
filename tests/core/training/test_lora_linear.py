from __future__ import annotations

import pytest
import torch

from core.training.adapters import adapted_modules, attach, save_adapter, trainable
from core.training.lora_linear import join_products


def tiny_model(dtype=torch.float32):
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    return LlamaModel(config).to(dtype)


def adapted(*, dropout: float = 0.0, dtype=torch.float32):
    model = attach(tiny_model(dtype), rank=4, alpha=8, dropout=dropout, base_name="tiny", seed=1)
    torch.manual_seed(2)
    for name, parameter in trainable(model).items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def run(model, *, seed: int = 3):
    ids = torch.arange(24).reshape(2, 12)
    torch.manual_seed(seed)
    states = model(input_ids=ids).last_hidden_state
    (states * torch.linspace(-1, 1, states.numel()).reshape(states.shape)).sum().backward()
    return states.detach(), {name: p.grad.clone() for name, p in trainable(model).items()}


def test_every_layer_is_joined():
    model = adapted()
    assert join_products(model) == adapted_modules(model) == 14


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_output_and_gradient_are_pefts(dropout):
    states, gradients = run(adapted(dropout=dropout))
    joined = adapted(dropout=dropout)
    join_products(joined)
    joined_states, joined_gradients = run(joined)
    assert torch.allclose(states, joined_states, atol=1e-5)
    assert gradients.keys() == joined_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, joined_gradients[name], rtol=1e-4, atol=1e-5), name
    assert max(float(g.abs().max()) for g in gradients.values()) > 0.01


def test_dropout_is_off_in_evaluation():
    plain, joined = adapted(dropout=0.5).eval(), adapted(dropout=0.5)
    join_products(joined)
    ids = torch.arange(10).reshape(1, 10)
    with torch.no_grad():
        assert torch.allclose(plain(ids).last_hidden_state, joined.eval()(ids).last_hidden_state, atol=1e-5)


def test_bfloat16_needs_no_autocast_and_the_adapter_stays_float32():
    exact_states, exact = run(adapted())
    model = adapted(dtype=torch.bfloat16)
    join_products(model)
    states, gradients = run(model)
    assert states.dtype is torch.bfloat16
    assert {g.dtype for g in gradients.values()} == {torch.float32}
    flat, reference = (torch.cat([g[name].flatten() for name in sorted(exact)]) for g in (gradients, exact))
    assert torch.nn.functional.cosine_similarity(flat, reference, dim=0) > 0.99
    assert torch.nn.functional.cosine_similarity(states.float().flatten(), exact_states.flatten(), dim=0) > 0.999


def test_saved_weights_are_pefts(tmp_path):
    plain, joined = adapted(), adapted()
    join_products(joined)
    for number, model in enumerate((plain, joined)):
        save_adapter(model, tmp_path / str(number))
    files = [(tmp_path / str(number) / "adapter_model.safetensors").read_bytes() for number in (0, 1)]
    assert files[0] == files[1]
