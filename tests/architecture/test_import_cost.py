"""What a start must not cost: torch and its like belong to jobs and the model service."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.settings import PROJECT_FOLDER
from pages.routes import titles

HEAVY = ("torch", "transformers", "peft", "faiss", "umap", "numba", "sklearn")


def heavy_modules_after(code: str) -> set[str]:
    report = f"{code}\nimport sys\nprint('LOADED', *[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], cwd=PROJECT_FOLDER, capture_output=True, text=True, check=True)
    return set(done.stdout.split("LOADED", 1)[1].split())


@pytest.mark.parametrize("module", ["core.cli.main", "core.workbench", "app"])
def test_importing_an_interface_loads_nothing_heavy(module: str) -> None:
    assert heavy_modules_after(f"import {module}") == set()


def test_running_every_page_loads_nothing_heavy(tmp_path) -> None:
    code = f"""
import os, pathlib
os.environ["TERCET_WORKSPACE"] = {str(tmp_path / "workspace")!r}
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("pages/shell.py", default_timeout=60)
app.run()
for name in {list(titles())!r}:
    app.switch_page(str(pathlib.Path("pages", name + ".py").resolve())).run()
    assert not app.exception, (name, app.exception)
"""
    assert heavy_modules_after(code) == set()
