"""What the template of the rewrite step is filled with: one text of an example, and all that is known of it."""

from __future__ import annotations

from core.domain.groups import TaskGroup
from core.domain.rewriting import RewritePlan, TextField
from core.domain.triple import SlotValue

PURPOSES = {  # what each text of a group is there for, in the words of its example prompt
    TaskGroup.SHORT_LONG: (
        "what a person would type for this task",
        "a document that gives this person what they are looking for",
        "a document that looks promising for the same query but serves the person worse",
    ),
    TaskGroup.LONG_SHORT: (
        "a text to be classified",
        "the label that is right for the text",
        "a label that tempts but is wrong for the text",
    ),
    TaskGroup.SHORT_SHORT: ("a short text that the task starts from", "a short text that matches it as the task says", ""),
    TaskGroup.LONG_LONG: ("a long text that the task starts from", "a long text that matches it as the task says", ""),
    TaskGroup.STS: (
        "a text of everyday or expert life",
        "a text that means the same as S1",
        "a text that resembles S1 and means something else",
    ),
    TaskGroup.BITEXT: (
        "a text to be translated",
        "a faithful translation of S1",
        "a translation of S1 that gets something important wrong",
    ),
}


def rewrite_slots(plan: RewritePlan, key: str) -> dict[str, SlotValue]:
    """What the template of the rewrite step is filled with; `key` is what the reply shall call the text."""
    texts = {field: getattr(plan, field.value) for field in TextField}
    others = [
        f"{field.key_in(plan.group) or field.value}:\n{_fenced(text)}" for field, text in texts.items() if text and field is not plan.field
    ]
    return {
        "task": plan.task,
        "group": plan.group.value,
        "field": key,
        "others": "\n\n".join(others),
        "current": _fenced(plan.current) if plan.current else "nothing yet",
        "faults": "\n".join(f"- {fault}" for fault in plan.faults) or "- nothing in particular: a person wants a better one",
        "purpose": PURPOSES[plan.group][list(TextField).index(plan.field)],
        "language": plan.language,
        "length": plan.length,
        "key": key,
    }


def _fenced(text: str) -> str:
    return f"<<<\n{text}\n>>>"


def sample_rewriting(group: TaskGroup, task: str) -> RewritePlan:
    """An example with a fault, for previews."""
    return RewritePlan(
        triple_id="sample",
        group=group,
        field=TextField.POSITIVE,
        task=task,
        query="how long does bread keep in a paper bag",
        positive="Bread is old food.",
        negative=None,
        language="English",
        length="at least 50 words",
        faults=("The positive has about 4 words; at least 50 were asked.",),
        prompt_version_id="sample",
        reviewer="sample",
    )
