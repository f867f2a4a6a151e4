"""What a reviewer's own verdicts teach about the rest of the queue: an order of one's own, and a suggestion with its reasons.

A logistic regression over what the checks and the baseline encoder say of a triple (core.domain.suspicion), its group, and the calibrated
log-odds, fitted to the verdicts of ONE reviewer in a thread beside the page: no card waits for it. It sorts and suggests; it never decides.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from core.domain.filters import TripleFilter, TripleOrder
from core.domain.review import TripleRecord
from core.domain.suspicion import ABOVE, BELOW, CODE, WEIGHT, evidence, log_odds, probability
from core.domain.triple import Verdict
from core.storage.triples import TripleStore

LOG = logging.getLogger(__name__)
LEAST_VERDICTS = 50  # below which nothing is learnt
LEAST_OF_EACH = 5  # accepted and rejected
EVERY = 10  # verdicts between two fits
MOST_VERDICTS = 1000  # accepted, and as many rejected, that a fit looks at
POOL = 2000  # most suspicious waiting triples that are put into one's own order; the rest follow as they were
STRENGTH = 0.1  # C of the regression
TRUST = 10.0  # what the calibrated log-odds are multiplied by: they are hardly penalised, and hold until verdicts speak against them.
FOLDS = 5  # of the verdicts: what was learnt has to tell those it has not seen better than the calibration does,
SURE = 2.0  # by as many standard errors of the mean gain in log-likelihood. All were chosen on the tuning half of data/faults.
SUGGESTED = 0.5  # probability from which a rejection is suggested
MOST_REASONS = 3
MOST_KEPT = 3 * POOL  # triples whose evidence is remembered
CALIBRATED, GROUP = "calibrated log-odds", "group "
WORDS = {
    BELOW + "positive cosine": "the positive is far from the query (baseline encoder)",
    ABOVE + "positive cosine": "the positive is very near to the query (baseline encoder)",
    BELOW + "negative cosine": "the negative is far from the query (baseline encoder)",
    ABOVE + "negative cosine": "the negative is very near to the query (baseline encoder)",
    BELOW + "cosine lead": "the negative is much farther than the positive (baseline encoder)",
    ABOVE + "cosine lead": "the negative is nearer than the positive (baseline encoder)",
    BELOW + "query in positive": "the positive shares few letters with the query",
    ABOVE + "query in positive": "the positive repeats much of the query",
    BELOW + "query in negative": "the negative shares few letters with the query",
    ABOVE + "query in negative": "the negative repeats much of the query",
    BELOW + "documents alike": "positive and negative have little in common",
    ABOVE + "documents alike": "positive and negative are much alike",
    BELOW + "length ratio": "the positive is short beside the negative",
    ABOVE + "length ratio": "the positive is long beside the negative",
    WEIGHT: "the checks weigh heavily against it",
    CALIBRATED: "the checks together speak of a fault",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The model would reject this triple. `reasons` are words to show, what speaks loudest first."""

    probability: float
    reasons: tuple[str, ...]
    learnt_from: int  # verdicts of the reviewer


@dataclass(frozen=True, slots=True)
class Learnt:
    """One fit: weights by name of evidence, how often each went with a rejection, and the order that follows."""

    intercept: float
    weights: Mapping[str, float]
    usual: Mapping[str, float]  # mean of each over the verdicts: a reason is what stands out against them
    seen: Mapping[str, tuple[int, int]]  # (rejected, all) of the verdicts it was there for
    verdicts: int
    places: Mapping[str, int] = field(default_factory=dict)  # id -> place in the order, from 0
    ranking: tuple[str, ...] = ()
    served: set[str] = field(default_factory=set)  # ids that came since this fit, of the ranking or of what follows it

    def chance(self, found: Mapping[str, float]) -> float:
        """Probability of a rejection."""
        return probability(self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in found.items()))


@dataclass(slots=True)
class _Pupil:
    """What is known of one reviewer."""

    learnt: Learnt | None = None
    changes: int = 0  # verdicts and undos since the last fit began
    work: Future[None] | None = None


class OrderLearner:
    """Fits per reviewer, shared by all windows."""

    def __init__(self, triples: TripleStore, *, pool: int = POOL) -> None:
        self._triples = triples
        self._ranked = pool
        self._pupils: dict[str, _Pupil] = {}
        self._evidence: dict[tuple[str, float], Mapping[str, float]] = {}  # by id and probability of a fault
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = False

    # ---- what a desk asks

    def next_in(self, reviewer: str, wanted: TripleFilter, at: str | None, *, backwards: bool, serve: bool) -> TripleRecord | None:
        """The card after (or before) `at` in the reviewer's own order that passes; from its end on to its start.

        What was ranked comes first, the rest as suspicious as it is after it. A card from before the newest fit has no place to go on
        from: the order is begun at its start. None where nothing was learnt, or nothing passes. `serve`: it goes on from here next time.
        """
        learnt = self._pupil(reviewer).learnt if reviewer else None
        if learnt is None:
            return None
        if not (backwards or at in learnt.served):
            at = None
        found = next((card for card in self._cards_from(learnt, wanted, at, backwards=backwards) if card), None)
        if found and serve:
            learnt.served.add(found.id)
        return found

    def _cards_from(self, learnt: Learnt, wanted: TripleFilter, at: str | None, *, backwards: bool) -> Iterator[TripleRecord | None]:
        """The first card that passes of each part of the order, from `at` once around."""
        whole, rest = learnt.ranking[::-1] if backwards else learnt.ranking, replace(wanted, not_among=learnt.ranking)
        place = learnt.places.get(at or "")
        if place is not None:
            yield self._triples.first_of(learnt.ranking[:place][::-1] if backwards else learnt.ranking[place + 1 :], wanted)
        else:
            if at:
                yield self._triples.neighbour(rest, TripleOrder.SUSPICIOUS, at, backwards=backwards)
            yield self._triples.first_of(whole, wanted)
        yield from self._triples.find(rest, TripleOrder.SUSPICIOUS, 1, backwards=backwards)
        yield self._triples.first_of(whole, wanted)

    def suggestion(self, record: TripleRecord, reviewer: str) -> Suggestion | None:
        """That the reviewer would probably reject a triple, and why; None below 50 verdicts, or where they would not."""
        learnt = self._pupil(reviewer).learnt if reviewer else None
        if learnt is None:
            return None
        found = evidence_of(record)
        chance = learnt.chance(found)
        return Suggestion(chance, tuple(_reasons(learnt, record, found)), learnt.verdicts) if chance >= SUGGESTED else None

    def note(self, reviewer: str, changes: int = 1) -> None:
        """Verdicts of a reviewer came or went: learn anew once there are enough of them."""
        pupil = self._pupil(reviewer)
        pupil.changes += changes
        if pupil.changes >= EVERY:
            self._begin(reviewer, pupil)

    def wait(self) -> None:
        """Until all fits that were begun are done: for measurements and tests."""
        for pupil in list(self._pupils.values()):
            if pupil.work:
                pupil.work.result()

    def stop(self) -> None:
        """Learn nothing from now on."""
        self._stopped = True

    # ---- learning

    def _pupil(self, reviewer: str) -> _Pupil:
        pupil = self._pupils.get(reviewer)
        if pupil is None:
            pupil = self._pupils.setdefault(reviewer, _Pupil())
            self._begin(reviewer, pupil)  # the log may hold verdicts from before this process
        return pupil

    def _begin(self, reviewer: str, pupil: _Pupil) -> None:
        with self._lock:
            if self._stopped or (pupil.work and not pupil.work.done()):
                return
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="order")
            pupil.work = self._pool.submit(self._learn, reviewer, pupil)

    def _learn(self, reviewer: str, pupil: _Pupil) -> None:
        while not self._stopped:
            pupil.changes = 0
            try:
                pupil.learnt = self._learnt_now(reviewer)
            except Exception:  # nobody waits for this thread: whatever went wrong, the last fit holds and the next verdicts try again
                LOG.exception("The order of the review queue was not learnt anew; the last one holds.")
                return
            if pupil.changes < EVERY:  # else many verdicts came while this fit was made
                return

    def _learnt_now(self, reviewer: str) -> Learnt | None:
        decided = [
            self._triples.leading(TripleFilter(reviewer=reviewer, verdict=verdict, singly=True), TripleOrder.NEWEST, MOST_VERDICTS)
            for verdict in (Verdict.ACCEPTED, Verdict.REJECTED)
        ]
        if sum(map(len, decided)) < LEAST_VERDICTS or min(map(len, decided)) < LEAST_OF_EACH:
            return None
        accepted, rejected = (self._evidence_of(some) for some in decided)
        learnt = fit(list(accepted.values()), list(rejected.values()))
        if learnt is None:
            return None
        waiting = self._evidence_of(self._triples.leading(TripleFilter(verdict=Verdict.PENDING), TripleOrder.SUSPICIOUS, self._ranked))
        chances = {identifier: learnt.chance(found) for identifier, found in waiting.items()}
        ranking = tuple(sorted(chances, key=lambda i: -chances[i]))  # ties keep the order they had
        return replace(learnt, ranking=ranking, places={i: place for place, i in enumerate(ranking)})

    def _evidence_of(self, some: Sequence[tuple[str, float]]) -> dict[str, Mapping[str, float]]:
        """By id, in the order given. Remembered while the probability stands still: the same triples come again with every fit."""
        if len(self._evidence) > MOST_KEPT:
            self._evidence.clear()
        new = dict(one for one in some if one not in self._evidence)
        for record in self._triples.get_many(new):
            self._evidence[record.id, new[record.id]] = evidence_of(record)
        return {one[0]: self._evidence[one] for one in some if one in self._evidence}


def evidence_of(record: TripleRecord) -> dict[str, float]:
    """What the model sees of a triple as it stands: the evidence of the checks, what the calibration makes of it, and the group."""
    triple = record.triple.with_texts(record.texts)
    found = evidence(triple, record.flags, record.nearness)
    return {**found, CALIBRATED: TRUST * log_odds(found), GROUP + triple.group.value: 1.0}


def fit(accepted: Sequence[Mapping[str, float]], rejected: Sequence[Mapping[str, float]]) -> Learnt | None:
    """Weights that tell the rejected from the accepted; None where they do it no better than the calibration alone."""
    import numpy as np  # here: pages import none of these
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    both = [*accepted, *rejected]
    names = sorted({name for found in both for name in found})
    matrix = np.array([[found.get(name, 0.0) for name in names] for found in both])
    labels = np.array([0] * len(accepted) + [1] * len(rejected))
    regression = LogisticRegression(C=STRENGTH, max_iter=300)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):  # small matrices: more threads only wait for one another
        # Log-odds of each verdict by a model that has not seen it: (verdicts,) by all evidence, and by the calibration alone.
        unseen, calibrated = (
            cross_val_predict(regression, columns, labels, cv=folds, method="decision_function")
            for columns in (matrix, matrix[:, [names.index(CALIBRATED)]])
        )
        gain = np.logaddexp(0, np.where(labels == 1, -calibrated, calibrated)) - np.logaddexp(0, np.where(labels == 1, -unseen, unseen))
        if gain.mean() < SURE * gain.std() / len(gain) ** 0.5:
            return None
        # A fit this tight is shy; a second one over unseen log-odds makes probabilities of them and leaves their order.
        scale = LogisticRegression().fit(unseen[:, None], labels)
        model = regression.fit(matrix, labels)
    slope = max(float(scale.coef_[0, 0]), 0.0)
    there = matrix != 0
    return Learnt(
        intercept=slope * float(model.intercept_[0]) + float(scale.intercept_[0]),
        weights=dict(zip(names, (slope * model.coef_[0]).tolist(), strict=True)),
        usual=dict(zip(names, matrix.mean(axis=0).tolist(), strict=True)),
        seen={name: (int(there[labels == 1, i].sum()), int(there[:, i].sum())) for i, name in enumerate(names)},
        verdicts=len(both),
    )


def _reasons(learnt: Learnt, record: TripleRecord, found: Mapping[str, float]) -> list[str]:
    """What speaks for a rejection more than usual, the loudest first, with how often it went with one."""
    said = {name: learnt.weights.get(name, 0.0) * (value - learnt.usual.get(name, 0.0)) for name, value in found.items()}
    loudest = sorted((name for name in said if said[name] > 0), key=lambda name: -said[name])[:MOST_REASONS]
    return [_worded(name, record, learnt.seen[name]) for name in loudest]


def _worded(name: str, record: TripleRecord, seen: tuple[int, int]) -> str:
    rejected, times = seen
    if name.startswith(GROUP):
        return f"you rejected {rejected} of {times} in {name.removeprefix(GROUP)}"
    if name == CALIBRATED:
        return WORDS[name]
    words = WORDS.get(name) or next(f.message.rstrip(".") for f in record.flags if CODE + f.code == name)
    return f"{words} (you rejected {rejected} of {times} such)"
