"""The six groups of tasks (Wang et al. 2024, figure 2) and what an example of each holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TaskGroup(StrEnum):
    """One of the paper's six groups; the value is what files and screens show."""

    SHORT_LONG = "short-long"
    LONG_SHORT = "long-short"
    SHORT_SHORT = "short-short"
    LONG_LONG = "long-long"
    STS = "sts"
    BITEXT = "bitext"


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What is true of every example of a group."""

    kind: str
    query_field: str
    positive_field: str
    negative_field: str | None
    fixed_task: str | None  # symmetric groups have one instruction and no brainstorm step
    paper_share: int  # thousands of the paper's 500k examples

    @property
    def brainstormed(self) -> bool:
        """Whether tasks of this group come from a brainstorm prompt."""
        return self.fixed_task is None

    @property
    def fields(self) -> tuple[str, ...]:
        """JSON fields of a reply, in order query, positive, negative."""
        return tuple(f for f in (self.query_field, self.positive_field, self.negative_field) if f)


STS_TASK = "Retrieve text that means the same as the given text."
BITEXT_TASK = "Retrieve the translation of the given text."

GROUPS: dict[TaskGroup, GroupFacts] = {
    TaskGroup.SHORT_LONG: GroupFacts("retrieval", "user_query", "positive_document", "hard_negative_document", None, 167),
    TaskGroup.LONG_SHORT: GroupFacts("classification", "input_text", "label", "misleading_label", None, 122),
    TaskGroup.SHORT_SHORT: GroupFacts("matching", "input", "positive_document", None, None, 13),
    TaskGroup.LONG_LONG: GroupFacts("matching", "input", "positive_document", None, None, 17),
    TaskGroup.STS: GroupFacts("similarity", "S1", "S2", "S3", STS_TASK, 99),
    TaskGroup.BITEXT: GroupFacts("translation", "S1", "S2", "S3", BITEXT_TASK, 89),
}
