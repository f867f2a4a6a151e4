"""The templates that ship with the project: one file per group and step of generation, and one for rewriting, which all groups share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import PromptStep
from core.errors import NotFound

FOLDER = Path(__file__).parent / "templates"


def prompts_there_are() -> Iterator[tuple[TaskGroup, PromptStep]]:
    """Every group with its steps of generation; the symmetric groups have no brainstorm."""
    for group, facts in GROUPS.items():
        if facts.brainstormed:
            yield group, PromptStep.BRAINSTORM
        yield group, PromptStep.EXAMPLE


@cache
def builtin_template(group: TaskGroup, step: PromptStep) -> str:
    """Text of a shipped template.

    Raises:
        NotFound: the group has no such step.
    """
    path = FOLDER / ("rewrite.txt" if step is PromptStep.REWRITE else f"{group.value}.{step.value}.txt")
    if not path.exists():
        raise NotFound(f"The group {group.value} has no {step.value} prompt.", hint="Its instruction is fixed; only examples are written.")
    return path.read_text(encoding="utf-8")
