"""Recognise the project's own prompts: which group and step a text asks for, and with which slots."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.generation.prompts.builtin_templates import builtin_template, prompts_there_are
from core.generation.prompts.templating import PIECE

SHARE_OF_LINES = 0.5  # of a template that must be left in a prompt somebody edited
LONGEST_LINE = 2_000  # characters; a line with slots is never longer, and matching stays cheap


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks for; `slots` holds those whose lines were left as they are."""

    group: TaskGroup
    step: PromptStep
    slots: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Template:
    group: TaskGroup
    step: PromptStep
    plain: frozenset[str]  # lines without slots, as they stand in a prompt
    slotted: tuple[re.Pattern[str], ...]

    @property
    def lines(self) -> int:
        return len(self.plain) + len(self.slotted)


class PromptReader:
    """Knows the shipped templates line by line, so a prompt that was edited a little is known too."""

    def __init__(self) -> None:
        # All groups share the prompt of the rewrite step; one of its lines names the group.
        every = (*prompts_there_are(), (TaskGroup.SHORT_LONG, PromptStep.REWRITE))
        self._templates = [_read(group, step) for group, step in every]
        self._owners: dict[str, list[int]] = defaultdict(list)
        for number, template in enumerate(self._templates):
            for line in template.plain:
                self._owners[line].append(number)

    def read(self, prompt: str) -> Asked | None:
        """Group, step and slots of a prompt, or None where it is not one of ours."""
        lines = {line.strip() for line in prompt.splitlines() if line.strip()}
        found = Counter(number for line in lines for number in self._owners.get(line, ()))
        if not found:
            return None
        most = max(found.values())
        others = [line for line in lines if line not in self._owners and len(line) <= LONGEST_LINE]
        best: tuple[float, Asked] | None = None
        for number in sorted(n for n, plain in found.items() if plain == most):  # two groups may share the lines that are left
            template = self._templates[number]
            matched, slots = _slots(template, others)
            share = (most + matched) / template.lines
            if share >= SHARE_OF_LINES and (best is None or share > best[0]):
                best = share, Asked(template.group, template.step, slots)
        return _of_its_group(best[1]) if best else None


def _of_its_group(asked: Asked) -> Asked | None:
    """A rewriting belongs to the group its prompt names; one that names none cannot be answered."""
    if asked.step is not PromptStep.REWRITE:
        return asked
    named = asked.slots.get("group", "")
    return replace(asked, group=TaskGroup(named)) if named in set(TaskGroup) else None


def _read(group: TaskGroup, step: PromptStep) -> _Template:
    plain: set[str] = set()
    slotted: list[re.Pattern[str]] = []
    for line in builtin_template(group, step).splitlines():
        pattern, has_slots = _pattern(line.strip())
        if has_slots:
            slotted.append(re.compile(pattern))
        elif line.strip():
            plain.add(PIECE.sub(lambda brace: brace.group()[0], line.strip()))
    return _Template(group, step, frozenset(plain), tuple(slotted))


def _pattern(line: str) -> tuple[str, bool]:
    """Regular expression of a template's line, and whether it has slots. A slot that comes again must hold the same text."""
    parts: list[str] = []
    named: set[str] = set()
    end = 0
    for piece in PIECE.finditer(line):
        parts.append(re.escape(line[end : piece.start()]))
        end = piece.end()
        name = piece.group(1)
        if name is None:
            parts.append(re.escape(piece.group()[0]))
        else:
            parts.append(f"(?P={name})" if name in named else f"(?P<{name}>.+?)")
            named.add(name)
    return "".join((*parts, re.escape(line[end:]))), bool(named)


def _slots(template: _Template, lines: list[str]) -> tuple[int, dict[str, str]]:
    matched, slots = 0, dict[str, str]()
    for pattern in template.slotted:
        found = next((match for line in lines if (match := pattern.fullmatch(line))), None)
        if found:
            matched += 1
            slots |= found.groupdict()
    return matched, slots
