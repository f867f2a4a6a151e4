"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import Settings
from core.workbench import Workbench


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that the app and commands find too."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("TERCET_WORKSPACE", str(folder))
    monkeypatch.delenv("TERCET_API_KEY", raising=False)
    return folder


@pytest.fixture
def workbench(workspace: Path) -> Workbench:
    """A workbench over the empty workspace."""
    return Workbench(Settings())
