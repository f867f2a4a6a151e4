from __future__ import annotations

import jsonschema
import pytest

from core.domain.groups import TaskGroup
from core.generation.replies.reply_schemas import example_schema, task_list_schema
from core.shipped.teacher.schema_shape import fitted

NODE = {"type": "object", "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
TREE = {"$defs": {"node": NODE | {"required": ["name", "next"]}}, "$ref": "#/$defs/node"}
NUMBERS = {"score": {"type": "integer", "minimum": 3, "maximum": 5}, "share": {"type": ["null", "number"], "maximum": -1.5}}
SCHEMAS = [
    example_schema(TaskGroup.SHORT_LONG, {}),
    example_schema(TaskGroup.STS, {"unit": "phrase"}, bounded=True),
    task_list_schema(3, bounded=True),
    TREE,
    {"type": "object", "properties": {**NUMBERS, "ok": {"type": "boolean"}}, "required": ["score", "share", "ok"]},
    {"type": "object", "properties": {"label": {"enum": ["yes", "no"]}, "kind": {"const": "x"}}, "required": ["label", "kind"]},
    {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 2}}}]},
    {"type": "array", "items": {"oneOf": [{"type": "string"}, {"type": "null"}]}, "maxItems": 3},
    {},
]


@pytest.mark.parametrize("value", [None, {"tasks": ["one", "two"], "S1": 3}, ["a"], "text", 7], ids=str)
@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_whatever_is_given_fits_the_schema_in_the_end(schema: dict, value: object):
    jsonschema.validate(fitted(schema, value, "I only know my own prompts."), schema)


def test_fields_that_fit_are_kept_and_others_filled_or_left_out():
    schema = example_schema(TaskGroup.SHORT_SHORT, {})
    assert fitted(schema, {"input": "tea", "note": "x"}, "?") == {"input": "tea", "positive_document": "?"}


def test_a_list_of_texts_is_made_of_tasks_with_topics():
    schema = {"type": "object", "properties": {"tasks": {"type": "array", "items": {"type": "string"}}}}
    assert fitted(schema, {"tasks": [{"task": "Given a law …", "topic": "law"}]}, "?") == {"tasks": ["Given a law …"]}


def test_any_object_will_do_where_no_fields_are_named():
    assert fitted({"type": "object"}, {"S1": "a"}, "?") == {"S1": "a"}
    assert fitted({"type": "object"}, None, "?") == {"message": "?"}
