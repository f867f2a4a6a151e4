from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.generation.replies.parsing import read_example, read_object, read_tasks
from tests.core.llm.scripted import make_reply

OK = '{"user_query": "q", "positive_document": "p", "hard_negative_document": "n"}'
EXPECTED = Texts("q", "p", "n")


@pytest.mark.parametrize("text", [
    OK,
    f"```json\n{OK}\n```",
    f"```\n{OK}\n```\nI hope this helps!",
    f"Here is the example you asked for:\n{OK}",
    f"{OK}\nLet me know {{if}} you need more.",
    OK.replace('"n"}', '"n",}'),
    OK.replace('"n"}', '"n", "extra": null, "ok": true}'),
    OK.replace('"', "'"),
    OK.replace("user_query", "User_Query"),
    '{"user_query": " q ", "positive_document": "p", "hard_negative_document": "n"}',
])  # fmt: skip
def test_replies_as_models_write_them_are_read(text: str):
    texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(text))
    assert reading.reason == ""
    assert texts == EXPECTED


def test_raw_newlines_inside_texts_are_kept():
    texts, reading = read_example(TaskGroup.SHORT_SHORT, make_reply('{"input": "a\nb", "positive_document": "c"}'))
    assert (texts, reading.repaired) == (Texts("a\nb", "c"), False)


def test_a_label_may_be_a_number():
    texts, _ = read_example(TaskGroup.LONG_SHORT, make_reply('{"input_text": "t", "label": 3, "misleading_label": 4.5}'))
    assert texts == Texts("t", "3", "4.5")


@pytest.mark.parametrize(("text", "finish", "reason"), [
    (OK, "length", "length"),  # complete by luck or not: the endpoint says it was cut off
    ('{"user_query": "q", "positive_document": "p and then', "length", "length"),
    ('{"user_query": "q", "positive_document": "p and then', "stop", "length"),  # cut off although called complete
    ('{"user_query": "q", "positive_document": "a {brace} and then', "stop", "length"),
    ("", "stop", "empty"),
    ("   ", "stop", "empty"),
    ("I cannot help with that.", "stop", "refusal"),
    ("[1, 2]", "stop", "not_json"),
    ("{}", "stop", "not_json"),
    ('{"user_query": "q", "positive_document": "p"}', "stop", "wrong_shape"),
    ('{"user_query": ["q"], "positive_document": "p", "hard_negative_document": "n"}', "stop", "wrong_shape"),
    ('{"user_query": true, "positive_document": "p", "hard_negative_document": "n"}', "stop", "wrong_shape"),
    ('{"user_query": "q", "positive_document": "  ", "hard_negative_document": "n"}', "stop", "blank_field"),
    ("", "content_filter", "content_filter"),
    ("", "refusal", "refusal"),
])  # fmt: skip
def test_every_unusable_reply_has_its_reason(text: str, finish: str, reason: str):
    texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(text, finish_reason=finish))
    assert texts is None
    assert reading.reason == reason
    assert reading.detail


def test_code_in_a_reply_is_never_run(tmp_path: Path):
    target = tmp_path / "written"
    text = f"{{'user_query': __import__('pathlib').Path({str(target)!r}).write_text('x'), 'positive_document': 'p'}}"
    read_example(TaskGroup.SHORT_LONG, make_reply(text))
    read_tasks(make_reply(text))
    assert not target.exists()


def test_deep_nesting_is_refused_and_does_not_break_the_reader():
    assert read_object(make_reply('{"a":' * 50_000 + "1" + "}" * 50_000)).reason in ("not_json", "length")


def test_tasks_are_cleaned_and_unusable_ones_left_out():
    text = '{"tasks": [{"task": "1. Given a recipe, find a wine.", "topic": "food"}, "Given a recipe, find a wine.", {"task": 5}, "short"]}'
    tasks, reading = read_tasks(make_reply(text))
    assert tasks == [("Given a recipe, find a wine.", "food")]
    assert reading.reason == ""


def test_a_bare_list_of_tasks_is_read_too():
    tasks, _ = read_tasks(make_reply('["Given a law, find its history.", "Given a bee, find its flower."]'))
    assert [task for task, _ in tasks] == ["Given a law, find its history.", "Given a bee, find its flower."]


def test_a_task_list_that_was_cut_off_is_not_used():
    text = '{"tasks": [{"task": "Given a recipe, find a wine.", "topic": "food"}, {"task": "Given a la'
    assert read_tasks(make_reply(text))[1].reason == "length"
    assert read_tasks(make_reply('{"tasks": []}'))[1].reason == "no_tasks"
    assert read_tasks(make_reply("no list here"))[1].reason == "not_json"
