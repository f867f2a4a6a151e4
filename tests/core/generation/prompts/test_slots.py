from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from core.domain.groups import GROUPS, TaskGroup
from core.domain.languages import LANGUAGES, paper_weights
from core.domain.prompt import PromptStep
from core.domain.task import task_id
from core.generation.prompts.builtin_templates import builtin_template, prompts_there_are
from core.generation.prompts.slots import (
    TOPICS,
    VALUES,
    allowed_slots,
    choose_task,
    draw_example,
    draw_language,
    draw_topics,
    required_slots,
    stream,
)
from core.generation.prompts.templating import check_template, render


@pytest.mark.parametrize(("group", "step"), list(prompts_there_are()))
def test_every_template_renders_with_every_value_of_every_slot(group: TaskGroup, step: PromptStep):
    template = builtin_template(group, step)
    required = required_slots(group, step)
    check_template(template, required=required, allowed=allowed_slots(group, step))
    fixed = {"task": "Find {it}.", "count": 20, "topics": "a, b", "language": "English", "src_lang": "French", "tgt_lang": "English"}
    drawn = VALUES[group] if step is PromptStep.EXAMPLE else {}
    for values in product(*drawn.values()):
        slots = dict(zip(drawn, values, strict=True))
        text = render(template, {**fixed, **slots})
        assert all(str(value) in text for value in slots.values())
    for language in LANGUAGES:
        text = render(template, {**fixed, **{n: v[0] for n, v in drawn.items()}, "language": language, "src_lang": language})
        if {"language", "src_lang"} & required:
            assert language in text


@pytest.mark.parametrize("group", list(TaskGroup))
def test_every_example_template_names_the_fields_of_its_reply(group: TaskGroup):
    template = builtin_template(group, PromptStep.EXAMPLE)
    assert all(f'"{name}"' in template for name in GROUPS[group].fields)


def test_there_are_ten_templates():
    assert len(list(prompts_there_are())) == 10


def test_the_same_seed_draws_the_same_and_earlier_draws_do_not_depend_on_later_ones():
    draws = [draw_example(TaskGroup.STS, stream(3, "sts", i), paper_weights()) for i in range(5)]
    assert draws == [draw_example(TaskGroup.STS, stream(3, "sts", i), paper_weights()) for i in range(5)]
    assert draws[0] != draw_example(TaskGroup.STS, stream(4, "sts", 0), paper_weights())


def test_bitext_draws_two_different_languages_even_from_a_plan_of_one():
    for weights in ({"English": 1.0}, {"German": 1.0}, {"English": 1.0, "Thai": 0.0}, paper_weights()):
        for i in range(50):
            draw = draw_example(TaskGroup.BITEXT, stream(0, i), weights)
            assert draw.language != draw.target_language
            assert (draw.slots["src_lang"], draw.slots["tgt_lang"]) == (draw.language, draw.target_language)


def test_languages_are_drawn_by_their_weights():
    random = stream(1, "languages")
    counts = Counter(draw_language(random, {"English": 3.0, "French": 1.0, "Thai": 0.0}) for _ in range(4000))
    assert counts["Thai"] == 0
    assert counts["English"] / 4000 == pytest.approx(0.75, abs=0.03)  # 4 standard errors


def test_a_new_task_takes_its_share_and_moves_no_other_draw():
    *ids, new = [task_id(TaskGroup.STS, f"task {i}") for i in range(10)]
    before = [choose_task(ids, stream(0, i)) for i in range(2000)]
    after = [choose_task([*ids, new], stream(0, i)) for i in range(2000)]
    moved = [now for then, now in zip(before, after, strict=True) if then != now]
    assert set(moved) == {new}
    assert len(moved) == pytest.approx(200, abs=55)  # a tenth, 4 standard errors
    assert min(Counter(before).values()) > 2000 / 9 * 0.7


def test_topics_come_from_the_given_ones_else_from_our_list():
    assert draw_topics(stream(0), ("law", "bees")).split(", ") in (["law", "bees"], ["bees", "law"])
    assert set(draw_topics(stream(0), ()).split(", ")) <= set(TOPICS)
    assert len(set(TOPICS)) == len(TOPICS) == 101
