from __future__ import annotations

import pytest

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep
from core.generation.prompts.builtin_templates import builtin_template, prompts_there_are
from core.generation.prompts.slots import allowed_slots
from core.generation.prompts.templating import render, slots_in
from core.shipped.teacher.asked import PromptReader
from tests.core.shipped.teacher.teachers import PLANT_TASK, example_prompt

READER = PromptReader()


@pytest.mark.parametrize(("group", "step"), list(prompts_there_are()))
def test_every_shipped_prompt_is_known_with_all_its_slots(group: TaskGroup, step: PromptStep):
    template = builtin_template(group, step)
    values = {name: f"some {{odd}} value of {name} (1+1)" for name in allowed_slots(group, step)}
    asked = READER.read(render(template, values))
    assert asked is not None
    assert (asked.group, asked.step) == (group, step)
    assert asked.slots == {name: values[name] for name in slots_in(template)}


def test_a_prompt_that_was_edited_a_little_is_known_by_the_lines_that_are_left():
    edited = example_prompt(language="French").replace("How the query must be:", "Rules:").replace("Be original:", "Surprise me:")
    asked = READER.read("You are a careful author.\n" + edited)
    assert asked is not None
    assert asked.group is TaskGroup.SHORT_LONG
    assert asked.slots["task"] == PLANT_TASK
    assert "language" not in asked.slots  # its line was edited


@pytest.mark.parametrize(
    "prompt", ["", "Tell me a joke.", "How they must be:", '{"a": 1}', "x" * 100_000, "How they must be:\n" + "Each text is one " * 9000]
)
def test_other_prompts_are_unknown(prompt: str):
    assert READER.read(prompt) is None
