from __future__ import annotations

import json
import subprocess
import sys

import pytest

from core.settings import PROJECT_FOLDER

KILLS = 10


@pytest.mark.slow
def test_runs_killed_at_ten_random_moments_end_with_the_adapter_of_one_that_was_not(tiny_decoder, tmp_path):
    command = [sys.executable, "-m", "tests.core.training.killed_runs", str(tiny_decoder), str(tmp_path), str(KILLS)]
    told = subprocess.run(command, cwd=PROJECT_FOLDER, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-3000:]
    found = json.loads(told.stdout.splitlines()[-1])
    assert len(found) == KILLS
    assert all(run["same"] for run in found), found
    assert len({run["checkpoint"] for run in found}) > 2  # the moments lie in different parts of the run
