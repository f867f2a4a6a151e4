"""Test collections by name: the one that ships with the project, those people brought, and any folder in BEIR layout."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import BadInput, NotFound
from core.evaluation.beir import PARTS, folder_reader, read_beir, zip_reader
from core.evaluation.collection import JudgedCollection
from core.storage.artifacts import write_bytes

SHIPPED = "heldout"


class CollectionShelf:
    """`heldout` ships with the project; the others lie in the workspace, each in a folder of its name."""

    def __init__(self, *, shipped: Path, folder: Path) -> None:
        self._shipped = shipped
        self._folder = folder
        self._last: tuple[tuple[object, ...], JudgedCollection] | None = None

    def names(self) -> list[tuple[str, str]]:
        """(name, label) of every collection at hand, the shipped one first."""
        brought = sorted(path.parent.name for path in self._folder.glob("*/corpus.jsonl"))
        return [(name, self.label(name)) for name in (SHIPPED, *brought)]

    def label(self, name: str) -> str:
        """What people call it."""
        return "Tercet's held-out collection" if name == SHIPPED else Path(name).name

    def get(self, name: str) -> JudgedCollection:
        """A collection by its name, or by the path of a folder. The last one is remembered until its files change.

        Raises:
            NotFound: no such collection. BadRows: a row of it cannot be used.
        """
        folder = self._folder_of(name)
        files = [folder / part for part in PARTS]
        known_by = (folder, *((s.st_mtime_ns, s.st_size) for s in (file.stat() for file in files if file.is_file())))
        if self._last is None or self._last[0] != known_by:
            self._last = (known_by, read_beir(folder_reader(folder)))
        return self._last[1]

    def add(self, name: str, data: bytes) -> JudgedCollection:
        """Keep the collection of a zip in the workspace. It is read first: one that cannot be used is not kept.

        Raises:
            BadInput: the name is empty or taken, or the data is no zip. NotFound, BadRows: see `read_beir`.
        """
        slug = re.sub(r"[^\w-]+", "-", name.strip().lower()).strip("-")
        if not slug:
            raise BadInput("The collection needs a name.", hint="Use some letters or digits.")
        if slug == SHIPPED or (self._folder / slug / PARTS[0]).exists():
            raise BadInput(f"There is a collection named {slug} already.", hint="Choose another name.")
        read = zip_reader(data)
        collection = read_beir(read)
        for part in reversed(PARTS):  # the corpus last: a folder without it is not listed
            write_bytes(self._folder / slug / part, read(part))
        return collection

    def _folder_of(self, name: str) -> Path:
        if name == SHIPPED:
            return self._shipped
        if re.fullmatch(r"[\w-]+", name) and (self._folder / name).is_dir():
            return self._folder / name
        if Path(name).is_dir():
            return Path(name)
        known = ", ".join(known for known, _ in self.names())
        raise NotFound(f"There is no test collection {name}.", hint=f"Known: {known}; or give a folder with {', '.join(PARTS)}.")
