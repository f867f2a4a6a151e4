"""Rows of prompt versions: added, never changed."""

from __future__ import annotations

from sqlalchemy import RowMapping, func, insert, select

from core.domain.groups import TaskGroup
from core.domain.prompt import PromptStep, PromptVersion
from core.errors import NotFound
from core.storage.database import Database, now
from core.storage.schema import prompt_versions


class PromptStore:
    """Prompt versions in, prompt versions out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, group: TaskGroup, step: PromptStep, template: str, *, note: str, parent_id: str | None) -> PromptVersion:
        """Store the next version of a prompt; its number is given here, in the transaction."""
        columns = prompt_versions.c
        with self._database.transaction() as connection:
            last = connection.scalar(select(func.max(columns.number)).where(columns.group == group.value, columns.step == step.value))
            version = PromptVersion(group, step, (last or 0) + 1, template, note, parent_id, now())
            connection.execute(insert(prompt_versions).values(**_row_of(version)))
        return version

    def ensure_first(self, group: TaskGroup, step: PromptStep, template: str) -> None:
        """Store version 1 unless the prompt already has one; safe when two processes do it at once."""
        version = PromptVersion(group, step, 1, template, "built in", None, now())
        columns = prompt_versions.c
        with self._database.transaction() as connection:
            known = connection.scalar(select(columns.id).where(columns.group == group.value, columns.step == step.value).limit(1))
            if known is None:
                connection.execute(insert(prompt_versions).values(**_row_of(version)))

    def get(self, version_id: str) -> PromptVersion:
        """One version.

        Raises:
            NotFound: no such version.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(prompt_versions).where(prompt_versions.c.id == version_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no prompt version {version_id}.", hint="The Prompts page lists the versions.")
        return _version_of(row)

    def list(self, group: TaskGroup | None = None, step: PromptStep | None = None) -> list[PromptVersion]:
        """Versions, newest first within group and step."""
        columns = prompt_versions.c
        query = select(prompt_versions).order_by(columns.group, columns.step, columns.number.desc())
        if group is not None:
            query = query.where(columns.group == group.value)
        if step is not None:
            query = query.where(columns.step == step.value)
        with self._database.reading() as connection:
            return [_version_of(row) for row in connection.execute(query).mappings()]


def _row_of(version: PromptVersion) -> dict[str, object]:
    return {
        "id": version.id,
        "group": version.group.value,
        "step": version.step.value,
        "number": version.number,
        "template": version.template,
        "note": version.note,
        "parent_id": version.parent_id,
        "created_at": version.created_at,
    }


def _version_of(row: RowMapping) -> PromptVersion:
    return PromptVersion(
        TaskGroup(row["group"]), PromptStep(row["step"]), row["number"], row["template"], row["note"], row["parent_id"], row["created_at"]
    )
