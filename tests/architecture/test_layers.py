"""The contracts of pyproject.toml hold, and can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.settings import PROJECT_FOLDER

LINT = Path(sys.executable).with_name("lint-imports")


def test_import_contracts_hold() -> None:
    done = subprocess.run([str(LINT), "--no-cache"], cwd=PROJECT_FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(PROJECT_FOLDER)): lines
        for folder in ("core", "pages")
        for path in (PROJECT_FOLDER / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}
