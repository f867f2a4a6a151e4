"""The dataset: search it, import and export it, freeze versions of it, follow one triple from its prompt to its runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from core.domain.dataset import DatasetVersion, Example, ExportFormat, Fallbacks, Split, choose_heldout_tasks
from core.domain.filters import EVERYTHING, TaskCount, TripleFilter, TripleOrder
from core.domain.identity import content_id
from core.domain.jobs import Job, JobKind
from core.domain.review import Action, Decision, TripleRecord
from core.domain.task import EmbeddingTask, TaskState
from core.domain.triple import Flag, Triple, Verdict
from core.errors import BadInput, BadRows, NotFound, NothingToDo
from core.jobs.board import JobBoard
from core.retrieval.words import search_words
from core.review.clusters import Cluster, Pair, open_clusters
from core.review.diversity import AcceptedTriple, DiversityWindow, diversity, sampled, windows_of, word_similarity
from core.review.exporting import Exported, row_of_example, row_of_record, write_rows
from core.review.freezing import Overlap, VersionDiff, compare, content_hash, counts_of, find_overlap, to_examples
from core.review.importing import parts_at, parts_of, read_parts
from core.review.rows import BadRow
from core.storage.database import now, translated_errors
from core.storage.decisions import DecisionStore
from core.storage.preferences import PreferenceStore
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore

NO_FALLBACKS = Fallbacks()
STARTER = "starter"
LONGEST_NAME = 80
WEIGHTS = "sampling_weights"  # name of the preference
MOST_WEIGHT = 100.0
WORDS_ASKED = 5
CANDIDATES = 60  # triples whose words are compared in full


class TaskKeeper(Protocol):
    """Where the tasks of imported triples go."""

    def add(self, new: Sequence[EmbeddingTask]) -> object:
        """Store tasks that are not there yet."""
        ...


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: ids of new and of known triples, rows that could not be used, and how many were accepted at once."""

    added: list[str]
    duplicates: list[str]
    bad: list[BadRow]
    accepted: int = 0
    without_negative: int = 0  # new ones
    unused_negatives: int = 0  # that stood beside a positive which has one already


@dataclass(frozen=True, slots=True)
class FreezePreview:
    """What a version would hold, before it is frozen."""

    train: int
    heldout: int
    tasks: tuple[TaskCount, ...]
    heldout_tasks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Stores:
    """The tables a shelf works on."""

    triples: TripleStore
    decisions: DecisionStore
    versions: VersionStore
    tasks: TaskKeeper
    preferences: PreferenceStore


class DatasetShelf:
    """Everything about the triples as a whole."""

    def __init__(self, stores: Stores, jobs: JobBoard, check: Callable[[Triple], Sequence[Flag]], *, starter_folder: Path) -> None:
        self._triples = stores.triples
        self._decisions = stores.decisions
        self._versions = stores.versions
        self._tasks = stores.tasks
        self._preferences = stores.preferences
        self._jobs = jobs
        self._check = check
        self._starter_folder = starter_folder

    # ---- search

    def search(
        self,
        wanted: TripleFilter = EVERYTHING,
        order: TripleOrder = TripleOrder.OLDEST,
        limit: int = 50,
        offset: int = 0,
    ) -> list[TripleRecord]:
        """One page of the triples that pass."""
        return self._triples.find(wanted, order, limit, offset)

    def count(self, wanted: TripleFilter = EVERYTHING) -> int:
        """How many pass."""
        return self._triples.count(wanted)

    def counts_by(self, column: str, wanted: TripleFilter = EVERYTHING) -> dict[str, int]:
        """How many pass for each value of a column, most frequent first."""
        return self._triples.counts_by(column, wanted)

    def tasks(self, wanted: TripleFilter = EVERYTHING) -> list[TaskCount]:
        """Tasks of the triples that pass, most triples first."""
        return self._triples.tasks(wanted)

    def ids(self, wanted: TripleFilter = EVERYTHING) -> list[str]:
        """Ids of all that pass: what a bulk action over a filter works on."""
        return self._triples.ids(wanted)

    # ---- likeness

    def clusters(self, pairs: Sequence[Pair]) -> list[Cluster]:
        """Near duplicates of which at least two are not rejected, the largest cluster first."""
        ids = dict.fromkeys(i for a, b, _ in pairs for i in (a, b))
        return open_clusters(pairs, self._triples.outlines(ids))

    def similar(self, record: TripleRecord, *, count: int = 8) -> list[tuple[TripleRecord, float]]:
        """Other triples of its language that share the most words with a triple's query and positive, with the Jaccard index of these."""
        words = search_words(f"{record.texts.query} {record.texts.positive}")
        longest = sorted(dict.fromkeys(words), key=lambda w: (-len(w), w))[:WORDS_ASKED]  # long words are rare ones
        if not longest:
            return []
        others = (other for other in self._triples.sharing_words(longest, record.triple.language, CANDIDATES) if other.id != record.id)
        scored = [(other, word_similarity(words, search_words(f"{other.texts.query} {other.texts.positive}"))) for other in others]
        return sorted(scored, key=lambda pair: (-pair[1], pair[0].number))[:count]

    def diversity(self, pairs: Sequence[Pair]) -> list[DiversityWindow]:
        """What the accepted triples brought, window by window in the order they were accepted."""
        windows = windows_of([AcceptedTriple(*row) for row in self._triples.decided(Verdict.ACCEPTED)])
        looked_at = self._triples.get_many([i for window in windows for i in sampled(window)])
        return diversity(windows, {record.id: record.texts for record in looked_at}, {later for _, later, _ in pairs})

    def newest_decision(self) -> int:
        """Id of the last entry of the log: what depends on verdicts changed if it did."""
        return self._decisions.newest_id()

    # ---- versions

    def preview(self, wanted: TripleFilter = EVERYTHING, *, heldout_share: float = 0.2, seed: int = 0) -> FreezePreview:
        """Counts and split a freeze would give now."""
        tasks = self._triples.tasks(replace(wanted, verdict=Verdict.ACCEPTED))
        chosen = choose_heldout_tasks(((t.task_id, t.group) for t in tasks), share=heldout_share, seed=seed)
        heldout = sum(t.triples for t in tasks if t.task_id in chosen)
        return FreezePreview(sum(t.triples for t in tasks) - heldout, heldout, tuple(tasks), chosen)

    def freeze(self, name: str, wanted: TripleFilter = EVERYTHING, *, heldout_share: float = 0.2, seed: int = 0) -> DatasetVersion:
        """Freeze the accepted triples that pass, with their texts as they stand now and whole tasks held out.

        Raises:
            NothingToDo: no accepted triple passes.
            BadInput: the name is blank, too long or in use, or the share is not between 0 and 1.
        """
        name = name.strip()
        if not name or len(name) > LONGEST_NAME:
            raise BadInput(f"A version needs a name of 1 to {LONGEST_NAME} characters.", hint="For example v1.")
        if not 0 <= heldout_share < 1:
            raise BadInput(f"A held-out share of {heldout_share:g} cannot be used.", hint="Give a number from 0 up to, not including, 1.")
        if any(version.name == name for version in self._versions.list()):
            raise BadInput(f"A version named {name!r} exists.", hint="Choose another name; a version never changes.")
        accepted = replace(wanted, verdict=Verdict.ACCEPTED)
        preview = self.preview(accepted, heldout_share=heldout_share, seed=seed)
        examples = to_examples(self._triples.each(accepted), preview.heldout_tasks)
        if not examples:
            raise NothingToDo("There is no accepted triple to freeze.", hint="Accept some on the Review page, or load the starter set.")
        version = self._version(name, examples)
        settings = {"filter": accepted.as_dict(), "heldout_share": heldout_share, "seed": seed}
        self._versions.add(version, examples, settings)
        return version

    def _version(self, name: str, examples: list[Example]) -> DatasetVersion:
        digest = content_hash(examples)
        heldout = sum(example.split is Split.HELDOUT for example in examples)
        newest = self._versions.list()[:1]
        return DatasetVersion(
            id=content_id(name, digest),
            name=name,
            content_hash=digest,
            train_count=len(examples) - heldout,
            heldout_count=heldout,
            counts=counts_of(examples),
            parent_id=newest[0].id if newest else None,
            created_at=now(),
        )

    def versions(self) -> list[DatasetVersion]:
        """All versions, newest first."""
        return self._versions.list()

    def version(self, version: str) -> DatasetVersion:
        """A version by id or name.

        Raises:
            NotFound: there is none.
        """
        return self._versions.get(version)

    def examples(self, version: str, split: Split | None = None) -> list[Example]:
        """Examples of a version in the order they were frozen."""
        return list(self._versions.examples(self._versions.get(version).id, split))

    def examples_of(self, version: str, triple_ids: Sequence[str]) -> list[Example]:
        """Examples of some triples (at most a few hundred) as a version holds them."""
        return list(self._versions.examples_of(self._versions.get(version).id, triple_ids))

    def weights(self) -> dict[str, float]:
        """Sampling weights by source that were given at an import; the others have 1. Training plans start with them."""
        stored: dict[str, float] = self._preferences.get(WEIGHTS, {})
        return dict(stored)

    def set_weight(self, source: str, weight: float) -> None:
        """How often training plans made from now on draw the triples of a source, against 1 for the others.

        Raises:
            BadInput: the weight is not between 0 and 100.
        """
        _require_weight(weight)
        with self._decisions.together():
            others = {name: value for name, value in self.weights().items() if name != source}
            self._preferences.set(WEIGHTS, others if weight == 1 else {**others, source: weight})

    def diff(self, older: str, newer: str) -> VersionDiff:
        """What changed from one version to another."""
        return compare(self.examples(older), self.examples(newer))

    def overlap(self, version: str) -> list[Overlap]:
        """Texts that stand on both sides of a version's split."""
        return find_overlap(self.examples(version))

    # ---- lineage

    def lineage(self, triple_id: str) -> dict[str, Any]:
        """Everything one triple came from and went into.

        Keys: record (TripleRecord), prompt_version and request (dict or None), decisions (list of Decision, oldest first),
        versions (list of {"version": DatasetVersion, "split": str}), jobs (training jobs on those versions, newest first).

        Raises:
            NotFound: no triple has this id.
        """
        record = self._triples.get(triple_id)
        holding = self._versions.holding(triple_id)
        return {
            "record": record,
            **self._triples.origin(triple_id),
            "decisions": self._decisions.of_triple(triple_id),
            "versions": [{"version": version, "split": split.value} for version, split in holding],
            "jobs": self._trained_on({version.id for version, _ in holding}),
        }

    def _trained_on(self, version_ids: set[str]) -> list[Job]:
        return [job for job in self._jobs.find(JobKind.TRAIN) if job.dataset_version_id in version_ids] if version_ids else []

    # ---- in and out

    def import_rows(
        self,
        file: Path | bytes,
        *,
        name: str = "",
        source: str = "import",
        weight: float | None = None,
        accept_as: str | None = None,
        fallbacks: Fallbacks = NO_FALLBACKS,
        reason: str = "imported as accepted",
    ) -> ImportReport:
        """Take the rows of a file, a zip or a folder in; bad rows are reported and the good ones kept.

        Args:
            file: a path or a file's content. Rows may have our keys (see core.review.forms.KEYS), or the form of sentence-transformers,
                FlagEmbedding, Tevatron or BEIR, with `fallbacks` for what that form lacks.
            name: of the uploaded file; its ending tells the format, JSONL where it is absent.
            source: what the triples say they came from.
            weight: how often training plans draw this source from now on, see `set_weight`; left as it is where None.
            accept_as: name of the reviewer who accepts every row that is still pending, as one step that can be undone.
            fallbacks: group, task and languages of rows in a form that names none.
            reason: what those decisions say.

        Raises:
            BadRows: no row can be used; nothing was changed.
            BadInput: the format is unknown, the file is not of it, or the weight cannot be used; nothing was changed.
            NotFound: there is no such file.
        """
        source = source.strip() or "import"
        if weight is not None:
            _require_weight(weight)  # before the file is read: that can take minutes
        parts = parts_of(file, name) if isinstance(file, bytes) else parts_at(file)
        read = read_parts(parts, source=source, fallbacks=fallbacks)
        good = read.triples
        if not good:
            raise _unusable(read.bad)
        flags = {triple.id: self._check(triple) for triple in good}
        report = self._triples.add(good, flags)
        self._tasks.add(
            list(
                {t.task_id: EmbeddingTask(t.group, t.task, TaskState.ACCEPTED, t.topic, t.source, created_at=now()) for t in good}.values()
            )
        )
        if weight is not None:
            self.set_weight(source, weight)
        accepted = self._accept([*report.added, *report.duplicates], accept_as, reason) if accept_as else 0
        bare = len({triple.id for triple in good if triple.texts.negative is None} & set(report.added))
        return ImportReport(report.added, report.duplicates, list(read.bad), accepted, bare, read.unused)

    def _accept(self, ids: Sequence[str], reviewer: str, reason: str) -> int:
        one = Decision("", reviewer, Action.ACCEPT, reason, batch_id=uuid.uuid4().hex)
        with self._decisions.together():
            pending = [i for i, verdict in self._decisions.verdicts(ids).items() if verdict is Verdict.PENDING]
            self._decisions.append([replace(one, triple_id=i) for i in pending])
        return len(pending)

    def load_starter(self, *, accept: bool = False) -> ImportReport:
        """Load the triples that ship with the project; with `accept` they count as accepted by "starter".

        Raises:
            NotFound: the files are not there.
        """
        files = sorted(self._starter_folder.glob("*.jsonl"))
        if not files:
            raise NotFound(f"There is no starter set in {self._starter_folder}.", hint="Get the files again from the project's repository.")
        data = b"\n".join(_read(path) for path in files)
        return self.import_rows(data, source=STARTER, accept_as=STARTER if accept else None, reason="part of the starter set")

    def export(
        self,
        *,
        version: str | None = None,
        wanted: TripleFilter = EVERYTHING,
        format: ExportFormat = ExportFormat.JSONL,  # noqa: A002 - the word users see
        instruction: bool = True,
    ) -> Exported:
        """A version, or the triples that pass a filter, as the files of a format.

        `instruction` puts the task before the query in forms that have no place of their own for it.

        Raises:
            NothingToDo: there is no row to write.
        """
        rows = [row_of_example(e) for e in self.examples(version)] if version else [row_of_record(r) for r in self._triples.each(wanted)]
        if not rows:
            raise NothingToDo("There is nothing to export.", hint="Widen the filter.")
        return write_rows(rows, format, instruction=instruction)


def _require_weight(weight: float) -> None:
    if not 0 <= weight <= MOST_WEIGHT:
        raise BadInput(f"A sampling weight of {weight:g} cannot be used.", hint=f"Give a number from 0 to {MOST_WEIGHT:g}.")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Check the path.")
    with translated_errors():
        return path.read_bytes()


def _unusable(bad: Sequence[BadRow]) -> BadRows:
    if not bad:
        return BadRows("The file holds no rows.", hint="Give a JSONL file: one JSON object a line.")
    first = "; ".join(f"{row.part} line {row.line} {row.reason}".strip() for row in bad[:3])
    more = f" (and {len(bad) - 3} more)" if len(bad) > 3 else ""
    return BadRows(
        f"No row can be used: {first}{more}.",
        hint="Each line is a JSON object with group, task, query, positive and negative, or with anchor, positive and negative.",
    )
