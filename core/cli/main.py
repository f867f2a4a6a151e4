"""All commands. Each slice of the work has a module beside this one that registers its own."""

from __future__ import annotations

import importlib
from pathlib import Path

import typer

app = typer.Typer(
    name="core",
    help="Tercet: make an embedding model out of a language model, end to end.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in ("demo", "generation", "requests", "checks", "review", "versions", "training", "retrieval", "evaluation", "jobs", "teacher"):
    if (Path(__file__).parent / f"{module}.py").exists():
        importlib.import_module(f"core.cli.{module}").register(app)


def main() -> None:
    """Entry of `python -m core`."""
    app()
