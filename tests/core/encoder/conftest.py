from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.encoder.tiny import build_tiny_decoder


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny decoder."""
    return build_tiny_decoder(tmp_path_factory.mktemp("tiny") / "decoder")
