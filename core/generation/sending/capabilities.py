"""What each endpoint was found to understand, kept for the workspace so that no run finds it out again."""

from __future__ import annotations

from core.llm.dialect import Dialect
from core.storage.preferences import PreferenceStore


class CapabilityBook:
    """One record for each model at each address."""

    def __init__(self, preferences: PreferenceStore) -> None:
        self._preferences = preferences

    def find(self, base_url: str, model: str) -> Dialect | None:
        """What was found out, None where nobody asked yet."""
        values = self._preferences.get(_name(base_url, model))
        return Dialect.from_record(values) if isinstance(values, dict) else None

    def keep(self, base_url: str, model: str, dialect: Dialect) -> None:
        """Replace the record."""
        self._preferences.set(_name(base_url, model), dialect.as_record())


def _name(base_url: str, model: str) -> str:
    return f"capabilities {base_url} {model}"
