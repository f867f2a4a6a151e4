"""Triples that mean nearly the same as one: vectors of all of them, made once as a job, compared where they lie on disk.

A triple's vector is the baseline encoder's of its query and positive, as they stand. They are kept as half floats (77 MB for 100,000 of
384 numbers) and read block by block, so that a page never holds them all. Numpy is imported only where vectors are touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain.encoder import EncoderSpec, Role
from core.domain.identity import content_id
from core.domain.jobs import Job, JobKind
from core.domain.plans import Plan
from core.domain.review import TripleRecord
from core.errors import NothingToDo, WorkspaceDamaged
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.storage.artifacts import read_json, write_json
from core.storage.database import translated_errors
from core.storage.triples import TripleStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.encoder.text_encoder import TextEncoder

LISTING = "listing.json"  # ids and text ids in the order of the vectors, and the name of their file; written last
BLOCK = 8192  # vectors compared at once
HALF_FLOAT = 0.0005  # what rounding may take from a cosine
AGAIN = "Compare all triples by meaning again; only what is new or changed takes time."


class LikenessPlan(Plan):
    """Encode query and positive of every triple with the baseline encoder."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the vectors on disk are of."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]  # `text_id` of each
    file: str
    made_at: str


@dataclass(frozen=True, slots=True)
class Alikes:
    """Other triples with at least a cosine to one, the nearest first."""

    near: tuple[tuple[str, float], ...]  # (id, cosine)
    compared: int


class TripleLikeness:
    """Vectors by a job, neighbours from them."""

    def __init__(self, jobs: JobBoard, triples: TripleStore, open_encoder: Callable[[EncoderSpec], TextEncoder], folder: Path) -> None:
        self._jobs = jobs
        self._triples = triples
        self._open_encoder = open_encoder
        self._folder = folder
        self._read: tuple[int, Listing] | None = None  # with the file's time of change

    def start(self) -> Job:
        """Make the vectors, or bring them up to date, in a process of its own. One at work is not started twice: its job is returned.

        Raises:
            NothingToDo: there are no triples.
        """
        if running := self._jobs.active(JobKind.LIKEN):
            return running[0]
        count = self._triples.count()
        if not count:
            raise NothingToDo("There are no triples to compare.", hint="Generate some, or import a file.")
        return self._jobs.start(JobKind.LIKEN, LikenessPlan(), title=f"Compare {count:,} triples by meaning")

    def run(self, context: JobContext) -> dict[str, Any]:
        """Do the job's work. Stopped or killed, what was encoded is kept, and another run goes on behind it."""
        import numpy as np

        from core.encoder.vector_cache import VectorCache

        started = time.monotonic()
        ids, texts = [], []
        for record in self._triples.each():
            ids.append(record.id)
            texts.append(_text_of(record))
        spec = EncoderSpec.baseline()
        context.progress(0, len(ids), "triples", "loading the encoder")
        encoder = self._open_encoder(spec)
        cache = VectorCache(self._folder / "encoded", spec.fingerprint, role=Role.DOCUMENT)

        def tell(done: int, total: int) -> None:
            speed = done / max(1e-9, time.monotonic() - started)
            context.progress(done, total, "triples", f"{speed:,.0f} triples/s, about {(total - done) / speed / 60:.0f} min left")

        vectors = cache.encode(
            texts, lambda some: encoder.encode(some, role=Role.DOCUMENT), on_progress=tell, stop_requested=context.stop_requested
        )
        if vectors is None:
            return {"triples": len(ids), "finished": False}
        file = f"vectors-{context.job.id}.npy"
        with translated_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(self._folder / file, vectors.astype(np.float16), allow_pickle=False)
        listing = {"ids": ids, "texts": [content_id(text) for text in texts], "file": file, "made_at": context.job.created_at}
        write_json(self._folder / LISTING, listing)
        for old in self._folder.glob("vectors-*.npy"):
            if old.name != file:
                old.unlink(missing_ok=True)
        return {
            "triples": len(ids),
            "finished": True,
            "reused": cache.report.reused,
            "seconds": round(time.monotonic() - started, 2),
        }

    def listing(self) -> Listing | None:
        """What there are vectors of; None before the first job is done."""
        path = self._folder / LISTING
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if not changed:
            return None
        if self._read is None or self._read[0] != changed:
            stored = read_json(path)
            self._read = (changed, Listing(tuple(stored["ids"]), tuple(stored["texts"]), stored["file"], stored["made_at"]))
        return self._read[1]

    def nearest(self, record: TripleRecord, *, least: float, most: int) -> Alikes:
        """Other triples whose cosine with this one is at least `least`, at most `most` of them; those edited since are left out.

        Raises:
            NothingToDo: there are no vectors, or none of this triple's texts as they stand.
            WorkspaceDamaged: the vectors cannot be read.
        """
        listing = self.listing()
        if listing is None:
            raise NothingToDo("No triples were compared by meaning yet.", hint="Start it with the button here.")
        place = next((i for i, known in enumerate(listing.ids) if known == record.id), None)
        if place is None or listing.texts[place] != content_id(_text_of(record)):
            raise NothingToDo("This triple came, or was edited, after the triples were compared.", hint=AGAIN)
        found = [(listing.ids[i], cosine, listing.texts[i]) for i, cosine in self._near(listing, place, least, most)]
        now = {other.id: content_id(_text_of(other)) for other in self._triples.get_many([i for i, _, _ in found])}
        return Alikes(tuple((i, cosine) for i, cosine, text in found if now.get(i) == text), len(listing.ids))

    def _near(self, listing: Listing, place: int, least: float, most: int) -> Iterator[tuple[int, float]]:
        import numpy as np

        vectors = self._vectors(listing)
        cosines = np.empty(len(vectors), dtype=np.float32)  # (triples,)
        asked = vectors[place].astype(np.float32)
        for start in range(0, len(vectors), BLOCK):
            cosines[start : start + BLOCK] = vectors[start : start + BLOCK].astype(np.float32) @ asked
        cosines[place] = -2.0  # itself
        near = np.flatnonzero(cosines >= least - HALF_FLOAT)
        for i in near[np.lexsort((near, -cosines[near]))][:most]:
            yield int(i), float(cosines[i])

    def _vectors(self, listing: Listing) -> NDArray[np.float16]:
        import numpy as np

        try:
            vectors: NDArray[np.float16] = np.load(self._folder / listing.file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise WorkspaceDamaged(f"The vectors of the triples cannot be read: {error}.", hint=AGAIN) from error
        if vectors.ndim != 2 or len(vectors) != len(listing.ids):
            raise WorkspaceDamaged("The vectors of the triples do not belong to their listing.", hint=AGAIN)
        return vectors


def _text_of(record: TripleRecord) -> str:
    return f"{record.texts.query}\n{record.texts.positive}"
