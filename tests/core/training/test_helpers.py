"""Helpers that a training starts itself, where they fail."""

from __future__ import annotations

import os
import subprocess

import pytest
import torch

from core.errors import BadPlan, JobError
from core.settings import Settings
from core.training import helpers
from tests.core.training.runs import make_plan


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """Every process that was started."""
    found: list[subprocess.Popen[bytes]] = []
    usual = subprocess.Popen

    def noted(*given, **told):
        found.append(usual(*given, **told))
        return found[-1]

    monkeypatch.setattr(helpers.subprocess, "Popen", noted)
    return found


def test_a_helper_that_ends_before_it_comes_is_told_and_the_environment_is_as_it_was(tiny_decoder, tmp_path, monkeypatch, started):
    monkeypatch.setattr(helpers, "HELPER", "core.no_such_module")
    monkeypatch.setenv("MASTER_ADDR", "elsewhere")
    before, threads = dict(os.environ), torch.get_num_threads()
    with (
        pytest.raises(JobError, match="Helper 1 of 1 ended with status 1"),
        helpers.enlist(make_plan(tiny_decoder, processes=2), [], Settings(workspace=tmp_path, device="cpu")),
    ):
        pytest.fail("nobody came")
    torch.set_num_threads(threads)
    assert dict(os.environ) == before
    assert [process.poll() for process in started] == [1]


def test_more_processes_than_gpus_are_refused_before_any_is_started(tiny_decoder, tmp_path, monkeypatch, started):
    monkeypatch.setattr(helpers, "pick_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(BadPlan, match="GPUs for 1"), helpers.enlist(make_plan(tiny_decoder, processes=2), [], Settings(workspace=tmp_path)):
        pytest.fail("one is missing")
    assert started == []
