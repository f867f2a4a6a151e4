"""Whether the accepted triples keep bringing something new: tasks, near duplicates and distance, window by window."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from core.domain.triple import Texts
from core.retrieval.words import search_words

WINDOW = 100  # accepted triples, and a multiple of it where there are many
MOST_WINDOWS = 40
SAMPLE = 24  # texts of a window that are compared with each other: 276 pairs


@dataclass(frozen=True, slots=True)
class AcceptedTriple:
    """What the order of acceptance needs of a triple."""

    id: str
    task_id: str
    decided_at: str


@dataclass(frozen=True, slots=True)
class DiversityWindow:
    """Some triples that were accepted one after another."""

    accepted: int  # how many in all when the window ends
    count: int
    day: str  # of the last one
    tasks: int  # different ones in the window
    all_tasks: int  # different ones so far
    near_duplicates: int  # that repeat an earlier triple, by the last check
    mean_distance: float | None  # of sampled pairs: 1 - Jaccard of the words of query and positive; None for one text


def windows_of(accepted: Sequence[AcceptedTriple]) -> list[Sequence[AcceptedTriple]]:
    """Windows in the order of acceptance, at most 40."""
    size = WINDOW * max(1, math.ceil(len(accepted) / (WINDOW * MOST_WINDOWS)))
    return [accepted[start : start + size] for start in range(0, len(accepted), size)]


def sampled(window: Sequence[AcceptedTriple]) -> list[str]:
    """Ids of the triples of a window whose texts are compared, spread evenly over it."""
    step = max(1, len(window) // SAMPLE)
    return [triple.id for triple in window[::step][:SAMPLE]]


def diversity(windows: Iterable[Sequence[AcceptedTriple]], texts: Mapping[str, Texts], repeats: Collection[str]) -> list[DiversityWindow]:
    """What each window brought. `texts` are those of the sampled triples, `repeats` ids that an earlier triple resembles."""
    found = []
    seen: set[str] = set()
    done = 0
    for window in windows:
        tasks = {triple.task_id for triple in window}
        seen |= tasks
        done += len(window)
        words = [set(search_words(f"{texts[i].query} {texts[i].positive}")) for i in sampled(window) if i in texts]
        found.append(
            DiversityWindow(
                accepted=done,
                count=len(window),
                day=window[-1].decided_at[:10],
                tasks=len(tasks),
                all_tasks=len(seen),
                near_duplicates=sum(triple.id in repeats for triple in window),
                mean_distance=_mean_distance(words),
            )
        )
    return found


def word_similarity(a: Collection[str], b: Collection[str]) -> float:
    """Jaccard index of two sets of words; 1 for two empty ones."""
    first, second = set(a), set(b)
    union = len(first | second)
    return len(first & second) / union if union else 1.0


def _mean_distance(words: Sequence[set[str]]) -> float | None:
    pairs = list(combinations(words, 2))
    return sum(1 - word_similarity(a, b) for a, b in pairs) / len(pairs) if pairs else None
