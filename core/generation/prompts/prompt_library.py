"""Prompts as people work with them: versions, diffs, previews."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import Preview, PromptStep, PromptVersion
from core.domain.task import TaskState
from core.domain.triple import SlotValue
from core.errors import BadTemplate, NothingToDo
from core.generation.prompts.builtin_templates import builtin_template
from core.generation.prompts.rewrite_slots import rewrite_slots, sample_rewriting
from core.generation.prompts.slots import allowed_slots, choose_task, draw_example, draw_topics, required_slots, stream, values_of
from core.generation.prompts.templating import check_template, render
from core.storage.prompts import PromptStore
from core.storage.tasks import TaskStore

# Shown in previews of a group that has no accepted task yet.
SAMPLE_TASKS = {
    TaskGroup.SHORT_LONG: "Given a symptom that a houseplant owner describes, retrieve care advice that names the cause and the remedy.",
    TaskGroup.LONG_SHORT: "Decide how urgent a tenant's message to the landlord is: emergency, this week, routine or no action.",
    TaskGroup.SHORT_SHORT: "Given the name of a hand tool, find the job it is made for.",
    TaskGroup.LONG_LONG: "Given a report on a bridge inspection, find the report of an earlier inspection that describes the same defect.",
}


class PromptLibrary:
    """All prompts of a workspace; the built-in templates are version 1."""

    def __init__(self, prompts: PromptStore, tasks: TaskStore) -> None:
        self._prompts = prompts
        self._tasks = tasks

    def versions(self, group: TaskGroup, step: PromptStep) -> list[PromptVersion]:
        """Newest first; there is always at least the built-in one."""
        found = self._prompts.list(group, step)
        if not found:
            self._prompts.ensure_first(group, step, builtin_template(group, step))
            found = self._prompts.list(group, step)
        return found

    def newest(self, group: TaskGroup, step: PromptStep) -> PromptVersion:
        """The version that is used where a plan names none."""
        return self.versions(group, step)[0]

    def get(self, version_id: str) -> PromptVersion:
        """One version.

        Raises:
            NotFound: no such version.
        """
        return self._prompts.get(version_id)

    def check(self, group: TaskGroup, step: PromptStep, template: str) -> None:
        """Refuse a template that could not be rendered.

        Raises:
            BadTemplate: names the unknown, missing or broken slot.
        """
        check_template(template, required=required_slots(group, step), allowed=allowed_slots(group, step))

    def save(self, group: TaskGroup, step: PromptStep, template: str, *, note: str = "", parent_id: str | None = None) -> PromptVersion:
        """Store a new version.

        Raises:
            BadTemplate: see `check`; nothing is stored.
            NothingToDo: the same wording as the newest version.
        """
        template = template.replace("\r\n", "\n").rstrip() + "\n"
        self.check(group, step, template)
        newest = self.newest(group, step)
        if template == newest.template:
            raise NothingToDo(f"This is already {newest.name}, word for word.", hint="Change the template before saving it.")
        return self._prompts.add(group, step, template, note=note.strip(), parent_id=parent_id or newest.id)

    def restore(self, version_id: str) -> PromptVersion:
        """Make an older wording the newest version; the history stays.

        Raises:
            NothingToDo: it already is the newest wording.
        """
        old = self.get(version_id)
        return self.save(old.group, old.step, old.template, note=f"restored from v{old.number}", parent_id=old.id)

    def diff(self, older: str, newer: str, *, older_name: str = "older", newer_name: str = "newer") -> str:
        """Unified diff of two templates by line; empty where they are equal."""
        lines = difflib.unified_diff(older.splitlines(), newer.splitlines(), older_name, newer_name, lineterm="", n=2)
        return "\n".join(lines)

    def preview(
        self,
        group: TaskGroup,
        step: PromptStep,
        *,
        seed: int = 0,
        pinned: Mapping[str, SlotValue] | None = None,
        template: str | None = None,
        languages: Mapping[str, float] | None = None,
    ) -> Preview:
        """The prompt as it would be sent for one draw. Same seed, same draw; pinned slots keep the value given.

        Args:
            group: Group of the prompt.
            step: Step of the prompt.
            seed: Of the draw.
            pinned: Slot values that are not drawn; unknown names are refused.
            template: An unsaved wording; the newest version where absent.
            languages: Weights to draw from; English where absent.

        Raises:
            BadTemplate: the template cannot be rendered, or a pinned slot does not exist.
        """
        if template is None:
            template = self.newest(group, step).template
        self.check(group, step, template)
        pinned = dict(pinned or {})
        for name in sorted(pinned.keys() - allowed_slots(group, step)):
            raise BadTemplate(f"There is no slot {{{name}}} to pin.", hint=f"Slots here: {', '.join(sorted(allowed_slots(group, step)))}.")
        random = stream(seed, "preview", group.value, step.value)
        if step is PromptStep.BRAINSTORM:
            slots: dict[str, SlotValue] = {"count": 20, "topics": draw_topics(random, ()), **pinned}
            return Preview(render(template, slots), slots, None)
        if step is PromptStep.REWRITE:
            return self._sample_rewriting(group, template, pinned, random.randrange(1 << 30))
        draw = draw_example(group, random, languages or {"English": 1.0})
        slots = {**draw.slots, **pinned}
        task = str(pinned.get("task") or self._some_task(group, random.randrange(1 << 30)))
        slots.pop("task", None)
        language = str(slots.get("language") or slots.get("src_lang") or draw.language)
        target = str(slots["tgt_lang"]) if "tgt_lang" in slots else draw.target_language
        return Preview(render(template, {**slots, "task": task}), slots, task, language, target)

    def slots(self, group: TaskGroup, step: PromptStep) -> dict[str, tuple[SlotValue, ...]]:
        """Slots a template must use, each with its values where they come from a fixed list (else an empty tuple)."""
        values = values_of(group, step)
        return {name: values.get(name, ()) for name in sorted(required_slots(group, step))}

    def _sample_rewriting(self, group: TaskGroup, template: str, pinned: Mapping[str, SlotValue], seed: int) -> Preview:
        plan = sample_rewriting(group, str(pinned.get("task") or self._some_task(group, seed)))
        slots: dict[str, SlotValue] = {**rewrite_slots(plan, plan.field.key_in(group) or ""), **pinned}
        shown = {name: slots[name] for name in ("field", "language", "length")}
        return Preview(render(template, slots), shown, plan.task, plan.language)

    def _some_task(self, group: TaskGroup, seed: int) -> str:
        facts = GROUPS[group]
        if facts.fixed_task:
            return facts.fixed_task
        accepted = {task.id: task.text for task in self._tasks.find(group, TaskState.ACCEPTED)}
        return accepted[choose_task(sorted(accepted), stream(seed))] if accepted else SAMPLE_TASKS[group]
