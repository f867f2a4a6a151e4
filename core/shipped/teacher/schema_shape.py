"""Give a value the shape a JSON schema asks for: exactly its fields, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 32  # levels; a schema may refer to itself
LONGEST_LIST = 100


def fitted(schema: Mapping[str, Any], value: Any, sentence: str) -> Any:
    """`value` as far as it fits the schema; what the schema wants besides is filled in, texts with `sentence`.

    Understands types, properties, items, enum, const, the bounds of lists, texts and numbers, anyOf, oneOf, allOf and local $ref.
    """
    return _Fitter(schema, sentence).fit(schema, value, 0)


class _Fitter:
    def __init__(self, root: Mapping[str, Any], sentence: str) -> None:
        self._root = root
        self._sentence = sentence

    def fit(self, schema: Any, value: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return value if schema is True else None
        schema = self._resolved(schema, depth)
        if depth > DEEPEST:
            return None
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return value if value in choices else choices[0]
        return self._of_kind(_kind(schema, value), schema, value, depth)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], value: Any, depth: int) -> Any:
        if kind == "object":
            return self._object(schema, value, depth)
        if kind == "array":
            return self._list(schema, value, depth)
        if kind == "string":
            return self._text(schema, value)
        if kind in ("integer", "number"):
            return _number(schema, value, whole=kind == "integer")
        if kind == "boolean":
            return value if isinstance(value, bool) else False
        return None

    def _object(self, schema: Mapping[str, Any], value: Any, depth: int) -> dict[str, Any]:
        given = value if isinstance(value, Mapping) else {}
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return dict(given) or {"message": self._sentence}  # any object will do
        return {str(name): self.fit(part, given.get(name), depth + 1) for name, part in properties.items()}

    def _list(self, schema: Mapping[str, Any], value: Any, depth: int) -> list[Any]:
        given = list(value) if isinstance(value, list) else [None]
        least, most = _whole(schema.get("minItems"), 0), _whole(schema.get("maxItems"), LONGEST_LIST)
        given = (given + [None] * (least - len(given)))[: min(most, LONGEST_LIST)]
        return [self.fit(schema.get("items", True), entry, depth + 1) for entry in given]

    def _text(self, schema: Mapping[str, Any], value: Any) -> str:
        if isinstance(value, Mapping):  # a list of texts was asked where we hold tasks with their topics
            value = next((part for part in value.values() if isinstance(part, str)), None)
        text = value if isinstance(value, str) else self._sentence
        text = text[: _whole(schema.get("maxLength"), len(text))]
        return text.ljust(min(_whole(schema.get("minLength"), 0), 10_000), ".")

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        for _ in range(DEEPEST):
            found = self._step(schema, depth)
            if found is None:
                break
            schema = found
        return schema

    def _step(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any] | None:
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema["$ref"])
        for word in ("anyOf", "oneOf"):
            options = [option for option in schema.get(word) or () if isinstance(option, Mapping)]
            if options:  # near the deepest level the last option ends a recursion: null stands there by custom
                return options[0 if depth < DEEPEST // 2 else -1]
        if schema.get("allOf"):
            merged = {key: part for key, part in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged |= part if isinstance(part, Mapping) else {}
            return merged
        return None

    def _referred(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _kind(schema: Mapping[str, Any], value: Any) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "string"


def _number(schema: Mapping[str, Any], value: Any, *, whole: bool) -> float | int:
    number: float | int = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(least, int | float):
        number = max(number, least)
    if isinstance(most, int | float):
        number = min(number, most)
    return int(number) if whole else number


def _whole(bound: Any, default: int) -> int:
    return bound if isinstance(bound, int) and not isinstance(bound, bool) and bound >= 0 else default
