"""A model id that does not exist: message and hint in the shell and on the page, and nothing that was there is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain.jobs import JobKind, JobState
from core.domain.review import Action
from core.settings import PROJECT_FOLDER, Settings
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triples
from tests.journeys.running import App, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # nobody listens: the answer is the same with and without a network


def frozen(workspace: Path) -> Workbench:
    workbench = Workbench(Settings(workspace=workspace))
    TripleStore(workbench.database).add(make_triples(12))
    for triple_id in workbench.dataset.ids():
        workbench.review.decide(triple_id, Action.ACCEPT, "me")
    workbench.dataset.freeze("v1")
    return workbench


def test_an_unknown_model_is_told_in_the_shell_and_on_the_page(
    app_starter: Callable[..., App], visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    workbench = frozen(tmp_path / "workspace")
    command = [sys.executable, "-m", "core", "train", "--version", "v1", "--base", "nobody/no-such-model", "--json"]
    done = subprocess.run(
        [*command, "--workspace", str(tmp_path / "workspace")],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **NO_HUB},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    told = " ".join(done.stderr.split())
    assert "Error: nobody/no-such-model is not on" in told
    assert "Hint: Check the spelling" in told
    assert done.stdout == ""
    assert workbench.jobs.find(JobKind.TRAIN)[0].state is JobState.FAILED

    me = visit(app_starter(**NO_HUB))
    me.open("train")
    me.sees("nobody/no-such-model is not on")
    me.sees("Check the spelling")
    me.assert_no_trouble()
    assert workbench.dataset.versions()[0].train_count + workbench.dataset.versions()[0].heldout_count == 12
