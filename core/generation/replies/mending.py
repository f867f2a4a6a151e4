"""Mend JSON as language models break it. Nothing is executed, and a mending that would lose or invent text is refused.

json_repair does the guessing; this module decides what it may guess. What it returns must hold the same letters and digits in the same
order as the reply, so a mended object never silently drops a sentence. Whether a reply was cut off is decided before, in parsing.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import json_repair

INVISIBLE = re.compile("[\ufeff\u200b\u2060]+")  # byte order mark and spaces without width; inside texts they may be meant (Khmer)
CURLY = str.maketrans("“”„‟", '""""')
BAD_ESCAPE = re.compile(r"(\\\\|\\[\"/bfnrt]|\\u[0-9A-Fa-f]{4})|\\(['&_#*$%`\-\[\]()!.>~|{}<+ ])|\\")
LATEX = re.compile(r"[\f\b](?=[A-Za-z])")  # "\frac" and "\beta" inside JSON read as control characters, which no text holds
ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}|\\[bfnrt]|\\")
TRIPLE_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)
COMMENT = re.compile(r"(?:^|(?<=[\s,{\[]))(?://[^\n]*|/\*.*?\*/|#[^\n]*)", re.DOTALL)
LITERALS = {"none": "null"}


class RepeatedKeyError(ValueError):
    """A key stands twice with different values: which one is meant cannot be known."""


def strict_prefix(body: str) -> tuple[Any, int]:
    """Value of the JSON that `body` begins with (raw newlines inside texts allowed) and where it ends.

    Raises:
        ValueError: no JSON there.
        RepeatedKeyError: a key stands twice with different values.
    """
    value, end = json.JSONDecoder(strict=False, object_pairs_hook=_no_key_twice).raw_decode(body)
    return _without_control(value), end


def mended(body: str) -> Any:
    """Value of broken JSON.

    Raises:
        ValueError: it cannot be mended without losing or inventing text.
    """
    for candidate in _candidates(body):
        try:
            return strict_prefix(candidate)[0]
        except RepeatedKeyError:
            raise
        except ValueError:
            pass
        value = json_repair.loads(candidate, skip_json_loads=True)
        if _letters_of(value) == _letters(candidate):
            return _without_control(value)
    raise ValueError("mending it would lose or invent text")


def _candidates(body: str) -> Iterator[str]:
    """The body with what is surely meant put right, one habit of models after the other."""
    plain = outside_strings(INVISIBLE, body)
    tripled = TRIPLE_QUOTED.sub(lambda match: json.dumps(match.group(1).strip(), ensure_ascii=False), plain)
    escaped = BAD_ESCAPE.sub(_escape, tripled)
    yield escaped
    if "“" in escaped and not re.search(r'"\s*:', escaped):  # curly quotes in place of the straight ones, not inside texts
        yield escaped.translate(CURLY)
    bare = outside_strings(COMMENT, escaped)
    if bare != escaped:
        yield bare


def _escape(match: re.Match[str]) -> str:
    """Keep what JSON knows; a needless escape loses its backslash, any other backslash is meant as one."""
    return match.group(1) or match.group(2) or "\\\\"


def outside_strings(pattern: re.Pattern[str], text: str) -> str:
    """`text` without what matches `pattern` outside double-quoted strings."""
    kept, place = [], 0
    for match in re.finditer(r'"(?:\\.|[^"\\])*"', text, re.DOTALL):
        kept += [pattern.sub("", text[place : match.start()]), match.group()]
        place = match.end()
    return "".join([*kept, pattern.sub("", text[place:])])


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            raise RepeatedKeyError(f"the key “{key[:60]}” stands twice with different values")
    return found


def _without_control(value: Any) -> Any:
    r"""Texts with the backslash of `\frac` and `\beta` back, which JSON reads as a form feed and a backspace."""
    if isinstance(value, str):
        return LATEX.sub(lambda match: "\\f" if match.group() == "\f" else "\\b", value)
    if isinstance(value, dict):
        return {key: _without_control(item) for key, item in value.items()}
    return [_without_control(item) for item in value] if isinstance(value, list) else value


def _letters(body: str) -> str:
    """Letters and digits of JSON text in order, escapes decoded, words of Python's own folded with those of JSON."""
    decoded = ESCAPE.sub(lambda match: chr(int(match.group()[2:], 16)) if match.group().startswith("\\u") else " ", body)
    return _folded(decoded)


def _letters_of(value: Any) -> str:
    return _folded(" ".join(_tokens(value)))


def _tokens(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _tokens(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tokens(item)
    elif isinstance(value, bool) or value is None:
        yield {True: "true", False: "false", None: "null"}[value]
    else:
        yield str(value).replace("\\", " ")


def _folded(text: str) -> str:
    words = re.findall(r"\w+", text.casefold())
    return "".join(LITERALS.get(word, word) for word in words).replace("_", "")
