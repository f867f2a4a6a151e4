"""Documents tell the truth: the README names every folder, every page and every command."""

from __future__ import annotations

import re

from typer.main import get_command

from core.cli.main import app
from core.settings import PROJECT_FOLDER, Settings
from pages import routes

README = (PROJECT_FOLDER / "README.md").read_text(encoding="utf-8")


def test_readme_tree_names_every_folder_that_is_there() -> None:
    folders = [
        p.name for p in PROJECT_FOLDER.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name not in ("workspace", "artifacts")
    ]
    folders += [f"{p.name}/" for p in (PROJECT_FOLDER / "core").iterdir() if p.is_dir() and p.name != "__pycache__"]
    assert [f for f in folders if f not in README and f != "__pycache__"] == []


def test_guide_has_a_section_and_a_picture_for_every_page() -> None:
    guide = (PROJECT_FOLDER / "docs/guide/README.md").read_text(encoding="utf-8")
    for name, title in routes.titles().items():
        assert re.search(rf"^## {title}$", guide, re.MULTILINE), title
        assert f"pictures/{name}.png" in guide
        assert (PROJECT_FOLDER / f"docs/guide/pictures/{name}.png").stat().st_size > 10_000


def test_guide_documents_every_command() -> None:
    shell_guide = (PROJECT_FOLDER / "docs/guide/shell.md").read_text(encoding="utf-8")
    assert [c for c in get_command(app).commands if f"`{c}`" not in shell_guide] == []


def test_example_environment_lists_every_setting() -> None:
    example = (PROJECT_FOLDER / ".env.example").read_text(encoding="utf-8")
    assert [f for f in Settings.model_fields if f"TERCET_{f.upper()}=" not in example] == []
