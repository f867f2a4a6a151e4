from __future__ import annotations

import pytest
from typer.testing import CliRunner

from core.cli.main import app


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["evaluate"], "--version"),
        (["evaluate", "--version", "nothing"], "Freeze"),
        (["map"], "--version, --corpus and --triples"),
        (["map", "--version", "v", "--triples"], "--version, --corpus and --triples"),
        (["map", "--triples", "--model", "raw", "--model", "baseline", "--model", "bm25"], "once or twice"),
        (["map", "--triples"], "import triples"),
        (["map", "--triples", "--model", "bm25"], "raw, baseline"),
    ],
)
def test_what_cannot_be_done_ends_with_a_hint_and_status_one(workspace, command, hint):
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 1
    assert hint in " ".join(result.stderr.split())
    assert result.stdout == ""
