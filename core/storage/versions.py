"""Dataset versions: frozen lists of examples. Rows are written once and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, insert, or_, select
from sqlalchemy.exc import IntegrityError

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.errors import BadInput, NotFound
from core.storage.database import Database
from core.storage.schema import dataset_examples, dataset_versions

COLUMNS = [column for column in dataset_versions.c if column.name != "settings"]


class VersionStore:
    """Versions in, versions out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, version: DatasetVersion, examples: Sequence[Example], settings: dict[str, Any]) -> None:
        """Store a version with its examples, all or nothing.

        Raises:
            BadInput: the name is in use.
        """
        rows = [
            {"version_id": version.id, "position": i, "triple_id": e.triple_id, "split": e.split.value, "record": _record(e)}
            for i, e in enumerate(examples)
        ]
        with self._database.transaction() as connection:
            try:
                connection.execute(insert(dataset_versions).values(**asdict(version), settings=settings))
            except IntegrityError as error:
                raise BadInput(f"A version named {version.name!r} exists.", hint="Choose another name; a version never changes.") from error
            connection.execute(insert(dataset_examples), rows)

    def list(self) -> list[DatasetVersion]:
        """Newest first."""
        query = select(*COLUMNS).order_by(dataset_versions.c.created_at.desc(), dataset_versions.c.id.desc())
        with self._database.reading() as connection:
            return [_read(row) for row in connection.execute(query).mappings()]

    def get(self, version: str) -> DatasetVersion:
        """A version by id or name.

        Raises:
            NotFound: no version has this id or name.
        """
        query = select(*COLUMNS).where(or_(dataset_versions.c.id == version, dataset_versions.c.name == version))
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"There is no dataset version {version!r}.", hint="Freeze one on the Dataset page, or: python -m core freeze.")
        return _read(row)

    def examples(self, version_id: str, split: Split | None = None) -> Sequence[Example]:
        """Examples in the order they were frozen."""
        query = select(dataset_examples).where(dataset_examples.c.version_id == version_id)
        if split:
            query = query.where(dataset_examples.c.split == split.value)
        with self._database.reading() as connection:
            return [_read_example(row) for row in connection.execute(query.order_by(dataset_examples.c.position)).mappings()]

    def examples_of(self, version_id: str, triple_ids: Sequence[str]) -> Sequence[Example]:
        """Examples of some triples, in the order they were frozen; at most a few hundred ids."""
        c = dataset_examples.c
        query = select(dataset_examples).where(c.version_id == version_id, c.triple_id.in_(triple_ids)).order_by(c.position)
        with self._database.reading() as connection:
            return [_read_example(row) for row in connection.execute(query).mappings()]

    def holding(self, triple_id: str) -> Sequence[tuple[DatasetVersion, Split]]:
        """Versions a triple is part of, newest first, with the side it is on."""
        query = (
            select(*COLUMNS, dataset_examples.c.split)
            .join(dataset_examples, dataset_examples.c.version_id == dataset_versions.c.id)
            .where(dataset_examples.c.triple_id == triple_id)
            .order_by(dataset_versions.c.created_at.desc())
        )
        with self._database.reading() as connection:
            return [(_read(row), Split(row["split"])) for row in connection.execute(query).mappings()]


def _record(example: Example) -> dict[str, Any]:
    return {
        "group": example.group.value,
        "task": example.task,
        **asdict(example.texts),
        "language": example.language,
        "target_language": example.target_language,
        "topic": example.topic,
        "slots": dict(example.slots),
        "source": example.source,
    }


def _read(row: RowMapping) -> DatasetVersion:
    return DatasetVersion(**{column.name: row[column.name] for column in COLUMNS})


def _read_example(row: RowMapping) -> Example:
    record = dict(row["record"])
    texts = Texts(record.pop("query"), record.pop("positive"), record.pop("negative"))
    group = TaskGroup(record.pop("group"))
    return Example(triple_id=row["triple_id"], split=Split(row["split"]), group=group, texts=texts, **record)
