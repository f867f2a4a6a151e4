from __future__ import annotations

import json
from random import Random

import pytest

from core.domain.groups import TaskGroup
from core.generation.prompts.slots import stream
from core.shipped.teacher.replies import StarterReplies
from tests.core.shipped.teacher.teachers import PLANT_TASK, brainstorm_prompt, example_prompt, fields_of, starter_records

REPLIES = StarterReplies(starter_records())


def examples(group: TaskGroup):
    return [record.triple for record in starter_records() if record.triple.group is group]


def first_of(value: dict[str, str], group: TaskGroup):
    """The triple of the starter set an answer was made of."""
    return next(t for t in examples(group) if (t.texts.query, t.texts.positive) == tuple(value.values())[:2])


def answered(prompt: str, group: TaskGroup, count: int = 30, **options):
    return [first_of(REPLIES.value(prompt, stream(0, n), **options), group) for n in range(count)]


@pytest.mark.parametrize("group", list(TaskGroup))
def test_an_answer_holds_exactly_the_fields_of_its_group(group: TaskGroup):
    value = REPLIES.value(example_prompt(group), Random(1))
    assert tuple(value) == fields_of(group)
    assert all(value.values())


def test_the_task_and_the_language_asked_for_are_kept():
    found = answered(example_prompt(), TaskGroup.SHORT_LONG)
    assert {(t.task, t.language) for t in found} == {(PLANT_TASK, "English")}
    assert len({t.id for t in found}) > 3


def test_a_language_the_task_was_never_written_in_comes_from_other_tasks():
    lacking = next(t.language for t in examples(TaskGroup.SHORT_LONG) if t.language not in languages_of(PLANT_TASK))
    found = answered(example_prompt(language=lacking), TaskGroup.SHORT_LONG)
    assert {t.language for t in found} == {lacking}


def languages_of(task: str) -> set[str]:
    return {t.language for t in examples(TaskGroup.SHORT_LONG) if t.task == task}


def test_a_language_the_starter_set_lacks_gives_the_task_and_failing_that_the_group():
    assert {t.task for t in answered(example_prompt(language="Xhosa"), TaskGroup.SHORT_LONG)} == {PLANT_TASK}
    strange = answered(example_prompt(language="Xhosa", task="Given a dream, retrieve the bus to it."), TaskGroup.SHORT_LONG)
    assert len({t.task for t in strange}) > 5


def test_both_languages_of_a_translation_are_kept():
    found = answered(example_prompt(TaskGroup.BITEXT, src_lang="Chinese (Simplified)", tgt_lang="English"), TaskGroup.BITEXT)
    assert {(t.language, t.target_language) for t in found} == {("Chinese (Simplified)", "English")}
    only_target = answered(example_prompt(TaskGroup.BITEXT, src_lang="Xhosa", tgt_lang="Welsh"), TaskGroup.BITEXT)
    assert {t.target_language for t in only_target} == {"Welsh"}


def test_examples_written_for_the_slots_asked_for_come_more_often():
    def passages(unit: str) -> int:
        return sum(t.slots["unit"] == "passage" for t in answered(example_prompt(TaskGroup.STS, unit=unit), TaskGroup.STS, 100))

    assert passages("passage") > 1.5 * passages("phrase")


@pytest.mark.parametrize("group", [TaskGroup.STS, TaskGroup.BITEXT, TaskGroup.SHORT_LONG])
def test_wrong_language_is_another_one(group: TaskGroup):
    found = answered(example_prompt(group), group, wrong_language=True)
    assert not {t.document_language for t in found} & {"German" if group is TaskGroup.BITEXT else "English"}


def test_a_brainstorm_gets_tasks_of_its_group_as_many_as_asked_and_others_each_time():
    known = {t.task for t in examples(TaskGroup.SHORT_LONG)}
    lists = [REPLIES.value(brainstorm_prompt(TaskGroup.SHORT_LONG, 7), stream(0, n))["tasks"] for n in range(4)]
    assert [len({entry["task"] for entry in entries} & known) for entries in lists] == [7] * 4
    assert len({json.dumps(entries) for entries in lists}) == 4
    assert all(entry["topic"] for entries in lists for entry in entries)
    everything = REPLIES.value(brainstorm_prompt(TaskGroup.LONG_LONG, 20), Random(1))["tasks"]
    assert len(everything) == len({t.task for t in examples(TaskGroup.LONG_LONG)}) < 20


def test_a_mark_makes_queries_differ():
    first, second = (REPLIES.value(example_prompt(), Random(1), mark=mark) for mark in ("a1", "b2"))
    assert first["user_query"].endswith(" (a1)")
    assert first["positive_document"] == second["positive_document"]


def test_unknown_prompts_have_no_answer():
    assert REPLIES.value("Tell me a joke.", Random(1)) is None
    assert StarterReplies([]).value(example_prompt(), Random(1)) is None
