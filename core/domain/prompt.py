"""A version of a prompt template. Versions are never changed, only followed by newer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.domain.identity import content_id
from core.domain.triple import Flag, SlotValue, Texts


class PromptStep(StrEnum):
    """Which step a prompt belongs to: the two of the paper, and the mending of what they brought."""

    BRAINSTORM = "brainstorm"
    EXAMPLE = "example"
    REWRITE = "rewrite"  # one text of an example that exists already


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """`number` counts from 1 within group and step; version 1 is the built-in template."""

    group: TaskGroup
    step: PromptStep
    number: int
    template: str
    note: str = ""
    parent_id: str | None = None
    created_at: str = ""

    @property
    def id(self) -> str:
        """Hash of group, step, number and template: restoring an old wording gives a version of its own."""
        return content_id(self.group.value, self.step.value, str(self.number), self.template)

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.group.value} {self.step.value} v{self.number}"


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered prompt and the values drawn for it."""

    text: str
    slots: Mapping[str, SlotValue]
    task: str | None
    language: str | None = None
    target_language: str | None = None


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What one real call with a prompt brought. `reason` is empty when the reply could be read."""

    reply: ChatReply
    texts: Texts | None  # of an example
    tasks: tuple[tuple[str, str], ...]  # (task, topic) of a brainstorm
    flags: tuple[Flag, ...]
    cost: float | None  # US dollars; None = unknown price
    reason: str = ""
    detail: str = ""
    repaired: bool = False  # broken JSON was mended
