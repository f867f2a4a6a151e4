"""One text of a triple, written anew by a language model: what is asked, and what is proposed. A person decides whether it is used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import Field

from core.domain.groups import GROUPS, TaskGroup
from core.domain.plans import EndpointPlan
from core.domain.triple import Texts


class TextField(StrEnum):
    """One of the texts of a triple."""

    QUERY = "query"
    POSITIVE = "positive"
    NEGATIVE = "negative"

    def key_in(self, group: TaskGroup) -> str | None:
        """What replies of a group call it; None where the group has no such text."""
        facts = GROUPS[group]
        return {TextField.QUERY: facts.query_field, TextField.POSITIVE: facts.positive_field}.get(self, facts.negative_field)


class RewritePlan(EndpointPlan):
    """Everything one request is made of. An equal plan is an equal request, which is never paid twice: asking again takes another seed."""

    triple_id: str
    group: TaskGroup
    field: TextField
    task: str
    query: str
    positive: str
    negative: str | None
    language: str = Field(description="of the text that is to be written")
    length: str = Field(description="in words to read, such as “at least 200 words”")
    faults: tuple[str, ...] = Field((), description="what checks and people found, in words")
    prompt_version_id: str
    reviewer: str = Field(min_length=1, description="who asked")

    @property
    def texts(self) -> Texts:
        """The triple's texts when it was asked."""
        return Texts(self.query, self.positive, self.negative)

    @property
    def current(self) -> str | None:
        """The text as it was when it was asked for anew; None where a negative is missing."""
        text: str | None = getattr(self, self.field.value)
        return text

    def applied_to(self, texts: Texts, text: str) -> Texts:
        """Texts with the new one in its place."""
        return replace(texts, **{self.field.value: text})


class ProposalState(StrEnum):
    """Where a rewriting is."""

    WRITING = "writing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What came of it. Costs in US dollars, None where the price is unknown."""

    job_id: str
    plan: RewritePlan
    state: ProposalState
    request_key: str
    prompt_version: str  # its name
    text: str = ""
    problem: str = ""
    hint: str = ""
    cost: float | None = None
    seconds: float | None = None

    @property
    def reason(self) -> str:
        """What the log says of an edit that takes it over."""
        return f"{self.plan.field.value} rewritten by {self.plan.model} ({self.prompt_version}, request {self.request_key})"
