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
    """Which of the two steps a prompt belongs to."""

    BRAINSTORM = "brainstorm"
    EXAMPLE = "example"


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
class PromptYield:
    """What a version brought: requests by outcome, triples by verdict, money."""

    prompt_version_id: str
    sent: int = 0
    parsed: int = 0
    failed: int = 0
    accepted: int = 0
    rejected: int = 0
    pending: int = 0
    cost: float | None = 0.0  # US dollars; None = at least one request has an unknown price

    @property
    def cost_per_accepted(self) -> float | None:
        """US dollars for one accepted triple; None where the price is unknown or nothing was accepted yet."""
        return None if self.cost is None or not self.accepted else self.cost / self.accepted


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
