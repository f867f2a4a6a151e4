"""The workspace's checks: thresholds, one job over all triples, and the scores it leaves for the histograms."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.domain.checks import DEFAULT_THRESHOLDS, SCORES, CheckPlan, Nearness, Thresholds
from core.domain.encoder import EncoderSpec
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind
from core.domain.review import TripleRecord
from core.domain.triple import Flag, Triple, Verdict
from core.generation.checks.by_encoder import (
    MEANT_FOR,
    check_nearness,
    easy_negative,
    false_negative,
    measure_nearness,
    positive_far,
    swapped,
)
from core.generation.checks.lengths import length_shares
from core.generation.checks.measured import MeasuredNearness, text_id
from core.generation.checks.triple_checks import check_triple
from core.generation.checks.words import gram_similarity
from core.jobs.board import JobBoard
from core.jobs.context import JobContext
from core.storage.artifacts import read_json, write_json
from core.storage.preferences import PreferenceStore
from core.storage.triples import TripleStore

if TYPE_CHECKING:
    from core.encoder.text_encoder import TextEncoder

THRESHOLDS = "check_thresholds"
SCORES_FILE = "scores.json"
MEASURED_FILE = "nearness.jsonl"
FRESH_SECONDS = 5.0
TRIPLES_A_STEP = 256  # checked, scored and written together
LOWEST_SHARE = 0.6  # pairs are looked for down to here, so that the histogram shows what a lower threshold would flag
PAIRS_A_STEP = 5000  # between two reports of progress
MOST_NAMED = 50_000  # near-duplicate pairs that are kept for the list


class CheckDesk:
    """Thresholds in, flags out."""

    def __init__(
        self,
        jobs: JobBoard,
        triples: TripleStore,
        preferences: PreferenceStore,
        folder: Path,
        open_encoder: Callable[[EncoderSpec], TextEncoder],
    ) -> None:
        self._jobs = jobs
        self._triples = triples
        self._preferences = preferences
        self._folder = folder
        self._open_encoder = open_encoder
        self._measured = MeasuredNearness(folder / MEASURED_FILE)
        self._current, self._read_again_at = DEFAULT_THRESHOLDS, 0.0

    def thresholds(self) -> Thresholds:
        """The workspace's own, else the defaults. One that is no longer known, or out of today's bounds, is left out."""
        stored = self._preferences.get(THRESHOLDS, {})
        kept = {}
        for name in (name for name in Thresholds.model_fields if name in stored):
            with suppress(ValidationError):
                kept[name] = getattr(Thresholds.model_validate({name: stored[name]}), name)
        return Thresholds.model_validate(kept)

    def set_thresholds(self, thresholds: Thresholds) -> None:
        """Use these from now on; triples that are there keep their flags until they are checked again."""
        kept = thresholds.model_dump()
        self._read_again_at = 0.0
        self._preferences.set(THRESHOLDS, {name: kept[name] for name in kept if kept[name] != getattr(DEFAULT_THRESHOLDS, name)})

    def current(self) -> Thresholds:
        """The thresholds, at most a few seconds old: hundreds of triples come a second."""
        if time.monotonic() >= self._read_again_at:
            self._current, self._read_again_at = self.thresholds(), time.monotonic() + FRESH_SECONDS
        return self._current

    def check(self, triple: Triple) -> list[Flag]:
        """Flags of one triple by the checks of its texts."""
        return check_triple(triple, self.current())

    def start(self, *, encoder: bool = True) -> Job:
        """Check all triples again in a process of its own. A check at work is not started twice: its job is returned."""
        if running := self._jobs.active(JobKind.CHECK):
            return running[0]
        plan = CheckPlan(thresholds=self.thresholds(), encoder=encoder)
        return self._jobs.start(JobKind.CHECK, plan, title=f"Check {self._triples.count():,} triples")

    def scores(self) -> dict[str, list[float]]:
        """Scores of the last check by name (see core.domain.checks.SCORES); empty before the first."""
        stored = read_json(self._folder / SCORES_FILE) or {}
        return {name: stored.get("scores", {}).get(name, []) for name in SCORES}

    def near_duplicates(self) -> list[tuple[str, str, float]]:
        """Pairs that say nearly the same, by the last check: (earlier, later, similarity), the most alike first and rejected ones last."""
        stored = read_json(self._folder / SCORES_FILE) or {}
        return [(str(a), str(b), float(share)) for a, b, share in stored.get("near_duplicates", [])]

    def run(self, context: JobContext) -> dict[str, Any]:
        """Do a check job's work. Stopped or killed halfway, what was checked keeps its new flags, and what was measured is not again."""
        started = time.monotonic()
        plan = CheckPlan.model_validate(context.plan)
        records = list(self._triples.each())
        pairs = self._pairs(records, plan.thresholds, context)
        nearest = _nearest(pairs)
        encoder = self._open_encoder(EncoderSpec.baseline()) if plan.encoder and records else None
        known = self._measured.read()
        scores: dict[str, list[float]] = {name: [] for name in SCORES}
        codes: Counter[str] = Counter()
        done = changed = 0
        for step in _steps(records):
            if context.stop_requested():
                break
            triples = [record.triple.with_texts(record.texts) for record in step]
            ids = [text_id(triple.texts) for triple in triples]
            if encoder is not None:
                new_texts = [triple for triple, i in zip(triples, ids, strict=True) if i not in known]
                known |= self._measure(new_texts, encoder)
            nearness = [known.get(i) for i in ids]
            found = {
                record.id: _flags(record.id, triple, near, nearest, plan.thresholds)
                for record, triple, near in zip(step, triples, nearness, strict=True)
            }
            as_they_are = {record.id: record.texts for record in self._triples.get_many(found)}  # one may have been edited meanwhile
            still = [record for record in step if as_they_are.get(record.id) == record.texts]
            new = {record.id: found[record.id] for record in still if set(found[record.id]) != set(record.flags)}
            self._triples.set_flags(new)
            near_by_id = {record.id: near for record, near in zip(step, nearness, strict=True)}
            self._triples.set_nearness({record.id: near_by_id[record.id] for record in still})
            for triple, near, record in zip(triples, nearness, step, strict=True):
                _add_scores(scores, triple, near, nearest.get(record.id))
                codes.update({flag.code for flag in found[record.id]})
            done, changed = done + len(step), changed + len(new)
            context.progress(done, len(records), "triples")
        pairs = [pair for pair in pairs if pair[2] >= plan.thresholds.near_duplicate]
        settled = {record.id for record in records if record.standing.verdict is Verdict.REJECTED}
        listed = sorted(  # what is settled comes last: it must not take the place of what is open
            ((a, b, round(share, 3)) for a, b, share in pairs), key=lambda pair: (not settled.isdisjoint(pair[:2]), -pair[2], pair)
        )
        values = {name: [round(value, 3) for value in some] for name, some in scores.items()}
        write_json(self._folder / SCORES_FILE, {"scores": values, "near_duplicates": listed[:MOST_NAMED]})
        return {
            "checked": done,
            "changed": changed,
            "flags": dict(codes.most_common()),
            "near_duplicates": len(pairs),
            "seconds": round(time.monotonic() - started, 2),
        }

    def _measure(self, triples: Sequence[Triple], encoder: TextEncoder) -> dict[str, Nearness]:
        """Cosines of these triples by `text_id`, kept before anything else is done with them."""
        if not triples:
            return {}
        measured = dict(zip((text_id(triple.texts) for triple in triples), measure_nearness(triples, encoder), strict=True))
        self._measured.add(measured)
        return measured

    def _pairs(self, records: Sequence[TripleRecord], thresholds: Thresholds, context: JobContext) -> list[tuple[str, str, float]]:
        from core.generation.checks.minhash import find_near_duplicates  # numpy: only where a job runs

        texts = [f"{record.texts.query}\n{record.texts.positive}" for record in records]

        def tell(read: int) -> None:
            context.progress(read, len(texts), "triples", "looking for near duplicates")

        found: list[tuple[str, str, float]] = []
        for a, b, share in find_near_duplicates(texts, threshold=min(LOWEST_SHARE, thresholds.near_duplicate), tell=tell):
            found.append((records[a].id, records[b].id, share))
            if len(found) % PAIRS_A_STEP == 0:
                context.progress(len(texts), len(texts), "triples", f"{len(found):,} pairs that share some text so far")
        return found


def _flags(
    triple_id: str, triple: Triple, near: Nearness | None, nearest: dict[str, tuple[float, str]], thresholds: Thresholds
) -> list[Flag]:
    flags = check_triple(triple, thresholds)
    if near is not None:
        flags += check_nearness(triple, near, thresholds)
    if triple_id in nearest and nearest[triple_id][0] >= thresholds.near_duplicate:
        share, other = nearest[triple_id]
        message = f"Query and positive share {share:.0%} of their 5-grams with those of triple {other}."
        flags.append(Flag("near_duplicate", message, "", 0.5))
    return flags


def _add_scores(scores: dict[str, list[float]], triple: Triple, near: Nearness | None, nearest: tuple[float, str] | None) -> None:
    """Scores of one triple that its group is judged by."""
    lengths = list(length_shares(triple))
    if lengths:
        scores["length"].append(min(lengths))
    if triple.texts.negative is not None and triple.group is not TaskGroup.BITEXT:
        scores["identical"].append(gram_similarity(triple.texts.positive, triple.texts.negative))
    if nearest is not None:
        scores["duplicate"].append(nearest[0])
    if near is None:
        return
    values = {"ratio": (near.ratio, false_negative), "easy": (near.ratio, easy_negative), "lead": (near.lead, swapped),
              "positive": (near.positive, positive_far)}  # fmt: skip
    for name, (value, check) in values.items():
        if value is not None and triple.group in MEANT_FOR[check]:
            scores[name].append(value)


def _nearest(pairs: Iterable[tuple[str, str, float]]) -> dict[str, tuple[float, str]]:
    """For each later triple of a pair the earlier one it is most like; the first of its kind is nobody's double."""
    found: dict[str, tuple[float, str]] = {}
    for earlier, later, share in pairs:
        if share > found.get(later, (0.0, ""))[0]:
            found[later] = (share, earlier)
    return found


def _steps(records: Sequence[TripleRecord]) -> Iterable[Sequence[TripleRecord]]:
    for start in range(0, len(records), TRIPLES_A_STEP):
        yield records[start : start + TRIPLES_A_STEP]
