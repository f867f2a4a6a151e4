from __future__ import annotations

import numpy as np
import pytest
import torch

from core.domain.encoder import EncoderSpec, Pooling, Role
from core.encoder.language_model import LanguageModelEncoder, embed, load_base, with_adapter
from core.encoder.open_encoder import open_encoder, resolve_base
from core.encoder.tokens import pad
from core.errors import ModelNotFound, ModelUnusable
from core.settings import Settings
from tests.core.encoder.tiny import build_tiny_decoder

TEXTS = ["a", "a rather longer text about rain and snow", "middle sized", "雨"]


@pytest.fixture
def encoder(tiny_decoder) -> LanguageModelEncoder:
    model, tokenizer = load_base(str(tiny_decoder), dtype=torch.float32)
    return LanguageModelEncoder(model, tokenizer, EncoderSpec(base=str(tiny_decoder), max_length=64), device=torch.device("cpu"))


@pytest.mark.parametrize("pooling", list(Pooling))
def test_padding_side_does_not_matter(encoder, pooling):
    rows = encoder.tokens.ids(TEXTS, role=Role.DOCUMENT)
    spec = EncoderSpec(base="tiny", pooling=pooling)
    with torch.inference_mode():
        right = embed(encoder.model, [pad(rows, value=0)], spec)
        left = embed(encoder.model, [pad(rows, value=0, side="left")], spec)
    assert torch.allclose(left, right, atol=1e-5)


def test_a_batch_gives_the_vectors_of_single_texts_in_order(encoder):
    together = encoder.encode(TEXTS, role=Role.DOCUMENT, batch_size=3)
    alone = np.vstack([encoder.encode([text], role=Role.DOCUMENT) for text in TEXTS])
    assert together.shape == (4, 32)
    assert together.dtype == np.float32
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_task_changes_queries_only(encoder):
    assert not np.allclose(encoder.encode(["a"], role=Role.QUERY, task="x"), encoder.encode(["a"], role=Role.QUERY))
    assert np.allclose(encoder.encode(["a"], role=Role.DOCUMENT, task="x"), encoder.encode(["a"], role=Role.DOCUMENT))


def test_no_texts_give_no_vectors(encoder):
    assert encoder.encode([], role=Role.DOCUMENT).shape == (0, 32)


def test_a_folder_opens_as_an_encoder(tiny_decoder, tmp_path):
    encoder = open_encoder(EncoderSpec(base=str(tiny_decoder)), Settings(workspace=tmp_path, device="cpu"))
    assert encoder.encode(["hello"], role=Role.QUERY).shape == (1, 32)


def test_missing_models_are_told_with_a_hint(tmp_path):
    settings = Settings(workspace=tmp_path)
    for name in ("/no/such/folder", "embedded:other", str(tmp_path)):
        with pytest.raises(ModelNotFound) as caught:
            resolve_base(name, settings)
        assert caught.value.hint


def test_a_base_without_end_token_is_unusable(tmp_path):
    folder = build_tiny_decoder(tmp_path / "endless", eos=None)
    with pytest.raises(ModelUnusable, match="no end token"):
        open_encoder(EncoderSpec(base=str(folder)), Settings(workspace=tmp_path, device="cpu"))


def test_an_adapter_that_is_not_there_is_told(encoder, tmp_path):
    with pytest.raises(ModelNotFound, match="no adapter"):
        with_adapter(encoder.model, EncoderSpec(base="tiny", adapter=str(tmp_path)))


def test_a_gpu_that_is_not_there_is_told(tiny_decoder, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ModelUnusable, match="no GPU"):
        open_encoder(EncoderSpec(base=str(tiny_decoder)), Settings(workspace=tmp_path), device="cuda")
