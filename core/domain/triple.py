"""A triple: query, positive, hard negative. The project is named after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from core.domain.groups import TaskGroup
from core.domain.identity import content_id
from core.domain.task import task_id

SlotValue = str | int | float


class Verdict(StrEnum):
    """What the log of decisions says of a triple now."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DISPUTED = "disputed"  # independent readers differ, and nobody has decided between them yet


@dataclass(frozen=True, slots=True)
class Texts:
    """The three texts; short-short and long-long have no negative."""

    query: str
    positive: str
    negative: str | None = None


@dataclass(frozen=True)
class Triple:
    """One example as it was written. Edits live in the log of decisions, never here."""

    group: TaskGroup
    task: str
    texts: Texts
    language: str = "English"
    target_language: str | None = None  # language of the documents where it differs (bitext)
    topic: str = ""
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    source: str = "by hand"  # by hand | starter | generated | import
    model: str | None = None
    prompt_version_id: str | None = None
    request_key: str | None = None
    created_at: str = ""

    @cached_property
    def id(self) -> str:
        """Hash of the normalised texts and the task: the same example always has the same id."""
        return content_id(self.group.value, self.task, self.texts.query, self.texts.positive, self.texts.negative)

    @property
    def task_id(self) -> str:
        """Id of the task this example belongs to; splits never divide a task."""
        return task_id(self.group, self.task)

    @property
    def document_language(self) -> str:
        """Language the positive and the negative are in."""
        return self.target_language or self.language

    def with_texts(self, texts: Texts) -> Triple:
        """A new example (with a new id) that differs in its texts."""
        return replace(self, texts=texts)


@dataclass(frozen=True, slots=True)
class Flag:
    """A reason for suspicion found without a person: code, the words to show, evidence."""

    code: str  # for example wrong_language, too_short, copied_query
    message: str
    field: str = ""  # query | positive | negative, or "" for the whole triple
    weight: float = 1.0  # how strongly it speaks for a fault, 0 to 1
