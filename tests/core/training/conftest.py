from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.core.encoder.tiny import build_tiny_decoder


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny decoder."""
    return build_tiny_decoder(tmp_path_factory.mktemp("tiny") / "decoder")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of tiny products wait for one another longer than they work, above all beside other programs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
