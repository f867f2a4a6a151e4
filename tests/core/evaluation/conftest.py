from __future__ import annotations

import pytest

from tests.factories import make_beir_folder


@pytest.fixture
def beir_folder(tmp_path):
    """See `make_beir_folder`."""
    return make_beir_folder(tmp_path / "small")
