from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadTemplate
from core.generation.prompts.templating import check_template, render, slots_in


def test_slots_are_filled_and_doubled_braces_become_single_ones():
    assert render('{{"{task}": {n}}}', {"task": "find", "n": 3}) == '{"find": 3}'


def test_braces_inside_values_are_not_read_again():
    assert render("say {task}", {"task": "{language} {{x}}"}) == "say {language} {{x}}"


@pytest.mark.parametrize(("template", "words"), [
    ("{task} and {", "single brace"), ("} {task}", "single brace"), ("{task.__class__}", "task.__class__"), ("{task!r}", "task!r"),
    ("{0}", "“{0}”"), ("{}", "“{}”"), ("first line\n{Bad Name}", "Line 2"),
])  # fmt: skip
def test_a_broken_slot_is_refused_with_its_place(template: str, words: str):
    with pytest.raises(BadTemplate) as caught:
        slots_in(template)
    assert words in caught.value.message
    assert "{{" in caught.value.hint


def test_unknown_and_missing_slots_are_refused_by_name():
    required, allowed = frozenset({"task"}), frozenset({"task", "language"})
    with pytest.raises(BadTemplate, match=r"no slot \{taks\}"):
        check_template("{taks}", required=required, allowed=allowed)
    with pytest.raises(BadTemplate, match=r"\{task\} is missing"):
        check_template("{language}", required=required, allowed=allowed)
    with pytest.raises(BadTemplate, match="empty"):
        check_template("  \n", required=required, allowed=allowed)
    with pytest.raises(BadTemplate, match=r"\{task\} has no value"):
        render("{task}", {})


@given(st.text(max_size=60))
def test_any_text_survives_once_its_braces_are_doubled(text: str):
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text
