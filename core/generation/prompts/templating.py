"""Render templates: `{slot}` is replaced, `{{` and `}}` are braces, everything else is refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from core.domain.triple import SlotValue
from core.errors import BadTemplate

PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
SLOT_NAME = re.compile(r"[a-z][a-z0-9_]*")
SYNTAX_HINT = "Write a slot as {name}; for a literal brace write {{ or }}."


@lru_cache(maxsize=256)
def slots_in(template: str) -> frozenset[str]:
    """Names of the slots a template uses.

    Raises:
        BadTemplate: a brace that belongs to no slot, or a slot that is not a plain name; the message gives the line.
    """
    names: set[str] = set()
    for match in PIECE.finditer(template):
        if match.group() in ("{{", "}}"):
            continue
        line = template.count("\n", 0, match.start()) + 1
        name = match.group(1)
        if name is None:
            around = template[match.start() : match.start() + 25].split("\n")[0]
            raise BadTemplate(f"Line {line}: a single brace at “{around}” belongs to no slot.", hint=SYNTAX_HINT)
        if not SLOT_NAME.fullmatch(name):
            raise BadTemplate(f"Line {line}: “{{{name}}}” is not a slot name.", hint=SYNTAX_HINT)
        names.add(name)
    return frozenset(names)


def check_template(template: str, *, required: frozenset[str], allowed: frozenset[str]) -> None:
    """Refuse a template whose slots are not the ones that will be filled.

    Raises:
        BadTemplate: names the first broken, unknown or missing slot.
    """
    if not template.strip():
        raise BadTemplate("The template is empty.", hint="Write a prompt, or restore an older version.")
    used = slots_in(template)
    for name in sorted(used - allowed):
        raise BadTemplate(f"There is no slot {{{name}}} here.", hint=f"Known slots: {_listed(allowed)}. {SYNTAX_HINT}")
    for name in sorted(required - used):
        raise BadTemplate(f"The slot {{{name}}} is missing.", hint=f"Every drawn value must reach the model; put {{{name}}} in the text.")


def render(template: str, values: Mapping[str, SlotValue]) -> str:
    """Template with its slots filled. Values are put in as they are: braces inside them are not read again.

    Raises:
        BadTemplate: a slot without a value.
    """
    for name in sorted(slots_in(template) - values.keys()):
        raise BadTemplate(f"The slot {{{name}}} has no value.", hint=f"Values were given for: {_listed(values.keys())}.")

    def fill(match: re.Match[str]) -> str:
        return {"{{": "{", "}}": "}"}.get(match.group()) or str(values[match.group(1)])

    return PIECE.sub(fill, template)


def _listed(names: object) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))  # type: ignore[call-overload]
