from __future__ import annotations

import json

import pytest

from core.domain.dataset import FALLBACK_TASK, Fallbacks
from core.domain.groups import BITEXT_TASK, TaskGroup
from core.domain.triple import Texts
from core.review.importing import parts_of, read_parts

GOOD = {"group": "short-long", "task": "T", "language": "English", "query": "q", "positive": "p", "negative": "n"}


def read(*rows, fallbacks=None):
    data = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()
    found = read_parts(parts_of(data), source="import", fallbacks=fallbacks or Fallbacks())
    return found.triples, list(found.bad)


def test_a_canonical_row_becomes_a_triple():
    (triple,), bad = read({**GOOD, "topic": "plants", "slots": {"num_words": 50}, "target_language": None})
    assert bad == []
    assert (triple.group, triple.task, triple.topic, triple.source) == (TaskGroup.SHORT_LONG, "T", "plants", "import")
    assert triple.texts == Texts("q", "p", "n")
    assert triple.slots == {"num_words": 50}


def test_the_form_of_sentence_transformers_takes_the_fallbacks():
    (pair, whole), _ = read(
        {"anchor": "a", "positive": "p"}, {"anchor": "a", "positive": "p", "negative": "n"},
        fallbacks=Fallbacks(TaskGroup.SHORT_SHORT, "Match.", "German"),
    )  # fmt: skip
    assert (pair.group, pair.task, pair.language, pair.texts) == (TaskGroup.SHORT_SHORT, "Match.", "German", Texts("a", "p", None))
    assert whole.texts.negative == "n"
    assert read({"anchor": "a", "positive": "p"})[0][0].task == FALLBACK_TASK


def test_symmetric_groups_have_their_task_already():
    row = {"group": "bitext", "query": "q", "positive": "p", "language": "English", "target_language": "German"}
    assert read(row)[0][0].task == BITEXT_TASK


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ({**GOOD, "group": "long-lost"}, "'long-lost' is unknown"),
        ({k: v for k, v in GOOD.items() if k != "group"}, "group is missing"),
        ({k: v for k, v in GOOD.items() if k != "task"}, "task is missing"),
        ({k: v for k, v in GOOD.items() if k != "positive"}, "positive is missing"),
        ({**GOOD, "query": "  "}, "query is blank"),
        ({**GOOD, "negative": ""}, "negative is blank"),
        ({**GOOD, "positive": ["p"]}, "positive is not a text but list"),
        ({**GOOD, "negative": " p "}, "same text"),
        ({**GOOD, "slots": [1]}, "slots is not an object"),
        ({**GOOD, "slots": {"a": [1]}}, "slot 'a' is neither"),
        ({**GOOD, "group": "bitext"}, "target_language is missing"),
        ({**GOOD, "query": "a\x00b"}, "NUL"),
        (json.dumps(GOOD).replace('"q"', '"\\ud800"'), "surrogate"),
        ({**GOOD, "query": "x" * 100_001}, "100,001 characters"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_row_says_why_and_the_others_stay(row, said):
    good, bad = read(GOOD, row, {**GOOD, "query": "other"})
    assert [t.texts.query for t in good] == ["q", "other"]
    assert [b.line for b in bad] == [2]
    assert said in bad[0].reason


def test_lines_are_counted_with_blank_ones_and_bytes_that_are_no_text():
    data = b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n\xff\xfe\r\n"
    found = read_parts(parts_of(data), source="import", fallbacks=Fallbacks())
    assert len(found.triples) == 1
    assert [(b.line, b.reason) for b in found.bad] == [(3, "is not UTF-8 (byte 1)")]
