"""Small choices that outlive a session. Never a secret: values that look like keys are refused."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import delete, insert, select

from core.errors import BadInput
from core.storage.database import Database
from core.storage.schema import preferences

LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|gsk|hf|xai|AIza)[-_]?[A-Za-z0-9_-]{20,}")


class PreferenceStore:
    """JSON values by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default` where none was set."""
        with self._database.reading() as connection:
            row = connection.execute(select(preferences.c.value).where(preferences.c.name == name)).first()
        return default if row is None else row[0]

    def set(self, name: str, value: Any) -> None:
        """Replace the value.

        Raises:
            BadInput: something in it looks like an API key.
        """
        for text in _texts_in(value):
            if LOOKS_LIKE_A_KEY.search(text):
                raise BadInput(
                    "This looks like an API key, and keys are never stored.",
                    hint="Give the key in its own field on the Settings page, or by an environment variable.",
                )
        with self._database.transaction() as connection:
            connection.execute(delete(preferences).where(preferences.c.name == name))
            connection.execute(insert(preferences).values(name=name, value=value))


def _texts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in (*value, *value.values()) for text in _texts_in(item)]
    return [text for item in value for text in _texts_in(item)] if isinstance(value, list | tuple) else []
