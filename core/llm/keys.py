"""API keys: from the environment, or given on the Settings page and then held in this process only.

A key is never written to the database, a plan, a log or a screenshot. A job's process receives it by its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import SecretStr

from core.errors import BadInput


class KeyRing:
    """Keys by the name of their environment variable."""

    def __init__(self) -> None:
        self._given: dict[str, SecretStr] = {}

    def give(self, name: str, key: str) -> None:
        """Hold a key until this process ends; an empty one forgets it."""
        if key:
            self._given[name] = SecretStr(_clean(name, key))
        else:
            self._given.pop(name, None)

    def get(self, name: str) -> SecretStr | None:
        """The key, or None where neither the page nor the environment gave one.

        Raises:
            BadInput: what is there cannot be a key.
        """
        if name in self._given:
            return self._given[name]
        value = _clean(name, os.environ.get(name, ""))
        return SecretStr(value) if value else None

    def environment(self) -> Mapping[str, str]:
        """Our environment with the given keys, for the process of a job."""
        return {**os.environ, **{name: key.get_secret_value() for name, key in self._given.items()}}


def _clean(name: str, key: str) -> str:
    """Without the space or line end that files and pasting leave; an HTTP library would repeat the whole header in its error.

    Raises:
        BadInput: no key looks like that. The message does not show it.
    """
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise BadInput(
            f"The key {name} holds characters that no key has.", hint="Copy it again, without quotation marks or dots of an abbreviation."
        )
    return key
