"""Replies as real models give them: every one is read to the right fields or refused for the right reason."""

from __future__ import annotations

import json

import pytest

from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.generation.replies.mending import mended
from core.generation.replies.parsing import read_example, read_tasks
from tests.core.llm.scripted import make_reply

Q, P, N = "why do leaves turn yellow", "Too much water takes air from the roots.", "Yellow leaves are prized in autumn."
GOOD = json.dumps({"user_query": Q, "positive_document": P, "hard_negative_document": N})
PLAIN = Texts(Q, P, N)
LONG = f'"user_query": "{Q}", "positive_document": "{P}", "hard_negative_document": "{N}"'


def parts(positive: str, *, query: str = Q, negative: str = N) -> str:
    return f'{{"user_query": "{query}", "positive_document": "{positive}", "hard_negative_document": "{negative}"}}'


READ = {
    "as asked": (GOOD, PLAIN),
    "indented": (json.dumps(json.loads(GOOD), indent=4), PLAIN),
    "json fence": (f"```json\n{GOOD}\n```", PLAIN),
    "JSON fence in capitals": (f"```JSON\n{GOOD}\n```", PLAIN),
    "bare fence and a farewell": (f"```\n{GOOD}\n```\nI hope this helps!", PLAIN),
    "tilde fence": (f"~~~json\n{GOOD}\n~~~", PLAIN),
    "fence that is never closed": (f"```json\n{GOOD}", PLAIN),
    "prose before": (f"Sure! Here is the example you asked for:\n\n{GOOD}", PLAIN),
    "prose after": (f"{GOOD}\n\nNote that the negative is harder.", PLAIN),
    "braces in the prose before": (f"I will use {{curly}} braces as asked.\n{GOOD}", PLAIN),
    "braces in the prose after": (f"{GOOD}\nLet me know {{if}} you need more.", PLAIN),
    "doubled braces of a template": ("{" + GOOD + "}", PLAIN),
    "the word json first": (f"json\n{GOOD}", PLAIN),
    "byte order mark": (f"\ufeff{GOOD}", PLAIN),
    "no-width spaces between tokens": ("{\u200b" + LONG + "\u200b}", PLAIN),
    "no-break space indent": ("{\n\u00a0\u00a0" + LONG + "\n}", PLAIN),
    "Windows line ends": (GOOD.replace(", ", ",\r\n"), Texts(Q, P, N)),
    "reasoning before": (f"<think>The user wants {{an object}}. {{\"user_query\": \"draft\"}}</think>\n{GOOD}", PLAIN),
    "reasoning whose start was cut": (f"so I write it.</think>{GOOD}", PLAIN),
    "end token of a chat format": (f"{GOOD}<|im_end|>", PLAIN),
    "channel tokens": (f"<|channel|>final<|message|>{GOOD}<|return|>", PLAIN),
    "a list with one object": (f"[{GOOD}]", PLAIN),
    "two examples, the first counts": (f"{GOOD}\n{parts('another')}", PLAIN),
    "wrapped in example": (f'{{"example": {GOOD}}}', PLAIN),
    "wrapped in properties, as a schema": (f'{{"type": "object", "properties": {GOOD}}}', PLAIN),
    "a first object with other keys": (f'{{"language": "English"}}\n{GOOD}', PLAIN),
    "an extra null and true": (GOOD[:-1] + ', "extra": null, "ok": true}', PLAIN),
    "keys in other letters": (GOOD.replace("user_query", "User Query").replace("hard_negative_document", "hardNegativeDocument"), PLAIN),
    "keys with dashes": (GOOD.replace("_", "-"), PLAIN),
    "keys with spaces around": (GOOD.replace('"user_query"', '" user_query "'), PLAIN),
    "fields in another order": (json.dumps({"hard_negative_document": N, "positive_document": P, "user_query": Q}), PLAIN),
    "JSON in a JSON string": (json.dumps(GOOD), PLAIN),
    "raw newlines in a text": (parts("one\ntwo\n\nthree"), Texts(Q, "one\ntwo\n\nthree", N)),
    "raw tab in a text": (parts("one\ttwo"), Texts(Q, "one\ttwo", N)),
    "escaped quotes": (parts('He said \\"go\\" and left.'), Texts(Q, 'He said "go" and left.', N)),
    "code fence inside a text": (
        parts("Write:\\n```js\\nfunction f() { return {a: 1}; }\\n```\\nDone."),
        Texts(Q, "Write:\n```js\nfunction f() { return {a: 1}; }\n```\nDone.", N),
    ),
    "raw code fence inside a text": (
        parts("Write:\n```js\nfunction f() { return {}; }\n```\nDone."),
        Texts(Q, "Write:\n```js\nfunction f() { return {}; }\n```\nDone.", N),
    ),
    "a web address in a text": (parts("See https://example.org/a#b now."), Texts(Q, "See https://example.org/a#b now.", N)),
    "formula with a needless escape": (parts(r"The area is \(\pi r^2\)."), Texts(Q, r"The area is (\pi r^2).", N)),
    "LaTeX that reads as control characters": (parts(r"\frac{1}{2} of \beta"), Texts(Q, r"\frac{1}{2} of \beta", N)),
    "escaped apostrophe": (parts(r"It\'s wet."), Texts(Q, "It's wet.", N)),
    "escaped underscore": (GOOD.replace("user_query", r"user\_query"), PLAIN),
    "surrogate pair": (parts(r"A leaf \ud83c\udf42."), Texts(Q, "A leaf 🍂.", N)),
    "trailing comma": (GOOD[:-1] + ",}", PLAIN),
    "trailing comma and newline": (GOOD[:-1] + ",\n}", PLAIN),
    "missing comma": (GOOD.replace('", "', '" "'), PLAIN),
    "missing comma at a line's end": (GOOD.replace('", "', '"\n"'), PLAIN),
    "single quotes": (GOOD.replace('"', "'"), PLAIN),
    "Python's True and None": ("{" + LONG.replace('"', "'") + ", 'ok': True, 'more': None}", PLAIN),
    "keys without quotes": (f'{{user_query: "{Q}", positive_document: "{P}", hard_negative_document: "{N}"}}', PLAIN),
    "curly quotes": (GOOD.replace(' "', " “").replace('":', "”:").replace('",', "”,").replace('{"', "{“").replace('"}', "”}"), PLAIN),
    "comment after a field": (GOOD.replace('", "', '", // the next one\n"', 1), PLAIN),
    "comment in hashes": (GOOD.replace('", "', '", # the next one\n"', 1), PLAIN),
    "texts in triple quotes": (GOOD.replace(f'"{P}"', f'"""{P}"""'), PLAIN),
    "closing brace forgotten": (GOOD[:-1], PLAIN),
    "closing brace forgotten in a fence": (f"```json\n{GOOD[:-1]}\n```", PLAIN),
    "one brace too many": (f"{GOOD}}}", PLAIN),
    "spaces around texts": (parts(f"  {P}  "), PLAIN),
    "unescaped quotes in a text": (parts('He said "go" and left.'), Texts(Q, 'He said "go" and left.', N)),
}  # fmt: skip

REFUSED = {
    "cut in the first text": ('{"user_query": "why do le', "stop", "length"),
    "cut between fields": ('{"user_query": "q", "positive_document": "p",', "stop", "length"),
    "cut after a complete field": ('{"user_query": "q", "positive_document": "p"', "stop", "length"),
    "cut within the last text": (GOOD[:-8], "stop", "length"),
    "cut inside a fence": (f"```json\n{GOOD[:60]}\n```", "stop", "length"),
    "cut after an unescaped quote": (GOOD[:-2] + ' "so"', "stop", "length"),
    "cut while reasoning": ("<think>The user wants an object with {", "stop", "length"),
    "complete by luck, called cut": (GOOD, "length", "length"),
    "cut, as another server says it": (GOOD, "MAX_TOKENS", "length"),
    "filtered": ("", "content_filter", "content_filter"),
    "filtered, as another server says it": (GOOD[:30], "SAFETY", "content_filter"),
    "empty": ("", "stop", "empty"),
    "only reasoning": ("<think>done</think>\n", "stop", "empty"),
    "white space": (" \n\t ", "stop", "empty"),
    "refusal": ("I'm sorry, but I can't help with that.", "stop", "refusal"),
    "refusal in Chinese": ("很抱歉，我无法提供这样的内容。", "stop", "refusal"),
    "refusal in French": ("Je suis désolé, mais je ne peux pas rédiger ce texte.", "stop", "refusal"),
    "prose": ("The query is about leaves, and the document explains it.", "stop", "not_json"),
    "Markdown in place of JSON": (f"**user_query:** {Q}\n**positive_document:** {P}", "stop", "not_json"),
    "YAML in place of JSON": (f"user_query: {Q}\npositive_document: {P}", "stop", "not_json"),
    "XML in place of JSON": (f"<user_query>{Q}</user_query>", "stop", "not_json"),
    "an empty object": ("{}", "stop", "not_json"),
    "a list of strings": ('["a", "b"]', "stop", "not_json"),
    "a field missing": ('{"user_query": "q", "positive_document": "p"}', "stop", "wrong_shape"),
    "another name for a field": (GOOD.replace("hard_negative_document", "bad_document"), "stop", "wrong_shape"),
    "a list in a field": (parts("x").replace('"x"', '["x"]'), "stop", "wrong_shape"),
    "an object in a field": (parts("x").replace('"x"', '{"text": "x"}'), "stop", "wrong_shape"),
    "null in a field": (parts("x").replace('"x"', "null"), "stop", "wrong_shape"),
    "None in a field": (parts("x").replace('"x"', "None"), "stop", "wrong_shape"),
    "true in a field": (parts("x").replace('"x"', "true"), "stop", "wrong_shape"),
    "half a character": (parts(r"a \ud83c b"), "stop", "wrong_shape"),
    "a field twice with two texts": (GOOD[:-1] + ', "user_query": "another"}', "stop", "wrong_shape"),
    "a blank field": (parts("   "), "stop", "blank_field"),
    "the schema itself": ('{"type": "object", "properties": {"user_query": {"type": "string"}}}', "stop", "wrong_shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_complete_reply_is_read_to_its_fields(name: str):
    text, expected = READ[name]
    texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(text))
    assert (reading.reason, reading.detail) == ("", "")
    assert texts == expected


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_reply_is_refused_for_its_reason(name: str):
    text, finish, reason = REFUSED[name]
    texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(text, finish_reason=finish))
    assert texts is None
    assert reading.reason == reason
    assert reading.detail


def test_the_corpus_is_large_enough_to_mean_something():
    assert len(READ) + len(REFUSED) >= 90


@pytest.mark.parametrize("cut", range(1, len(GOOD) - 1))
def test_no_beginning_of_a_reply_becomes_a_triple(cut: int):
    texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(GOOD[:cut]))
    assert texts is None
    assert reading.reason in ("length", "not_json")  # a lone brace is no object yet


@pytest.mark.parametrize(
    "body", ['{"a": "one" two "three"}', "{'a': 'it's' , b}", '{"a": __import__("os").system("id")}', '{"a": "x" "y" oops: }']
)
def test_mending_never_loses_a_letter(body: str):
    try:
        value = json.dumps(mended(body), ensure_ascii=False)
    except ValueError:
        return
    assert sorted(filter(str.isalpha, value)) == sorted(filter(str.isalpha, body))


TASKS = ["Given a recipe, find a wine that suits it.", "Given a law, find the debate before it."]


@pytest.mark.parametrize("text", [
    json.dumps({"tasks": TASKS}),
    json.dumps({"tasks": [{"task": t, "topic": ""} for t in TASKS]}),
    json.dumps({"Tasks": TASKS}),
    json.dumps({"tasks": {"1": TASKS[0], "2": TASKS[1]}}),
    json.dumps(TASKS),
    f"Here they are:\n```json\n{json.dumps(TASKS)}\n```",
    str(TASKS),
    json.dumps(TASKS)[:-1] + ",]",
    f"1. {TASKS[0]}\n2. {TASKS[1]}",
    f"Tasks:\n\n1) **{TASKS[0]}**\n2) **{TASKS[1]}**",
    f"- {TASKS[0]}\n- {TASKS[1]}\n",
    json.dumps([{"task": t} for t in TASKS]),
])  # fmt: skip
def test_task_lists_are_read_in_every_form(text: str):
    tasks, reading = read_tasks(make_reply(text))
    assert reading.reason == ""
    assert [task for task, _ in tasks] == TASKS


def test_a_list_called_cut_is_not_used_in_any_form():
    for text in (json.dumps(TASKS), f"1. {TASKS[0]}\n2. {TASKS[1]}"):
        assert read_tasks(make_reply(text, finish_reason="length"))[1].reason == "length"


@pytest.mark.parametrize("comment", ["/" * 3000, "#" * 3000, "// a\n" * 60])
def test_rulers_of_comment_signs_do_not_hang_the_parser(comment):
    """A pattern that backtracks would not come back from these within years."""
    for text in ("{" + comment, "{ " + comment + "\n" + GOOD[1:]):
        texts, reading = read_example(TaskGroup.SHORT_LONG, make_reply(text))
        assert texts == PLAIN or reading.reason


def test_a_text_that_speaks_of_the_thinking_tag_is_kept_whole():
    texts, _ = read_example(TaskGroup.SHORT_LONG, make_reply(parts("Close it with the </think> tag.")))
    assert texts == Texts(Q, "Close it with the </think> tag.", N)
