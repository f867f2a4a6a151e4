"""A few fixed queries whose positive is ranked every few steps: training one can watch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.dataset import Example, Split
from core.domain.identity import normalise

QUERIES, DOCUMENTS = 8, 64


@dataclass(frozen=True, slots=True)
class Probes:
    """Queries, the documents they are ranked among, and each query's positive as a place in `documents`."""

    examples: tuple[Example, ...]
    documents: tuple[str, ...]
    positives: tuple[int, ...]
    held_out: bool  # from tasks that training does not see


def choose_probes(examples: Sequence[Example]) -> Probes:
    """Up to 8 queries spread over the tasks, held-out ones where there are any, among up to 64 documents with theirs in front."""
    held_out = [e for e in examples if e.split is Split.HELDOUT]
    pool = held_out or list(examples)
    chosen = _spread(pool)[:QUERIES]
    others = [e for e in _spread(pool) if e not in chosen]
    texts: dict[str, str] = {}
    for example in [*chosen, *others]:
        for text in (example.texts.positive, example.texts.negative):
            if text and len(texts) < DOCUMENTS:
                texts.setdefault(normalise(text), text)
    keys = list(texts)
    positives = tuple(keys.index(normalise(e.texts.positive)) for e in chosen)
    return Probes(tuple(chosen), tuple(texts.values()), positives, bool(held_out))


def _spread(examples: Sequence[Example]) -> list[Example]:
    """One example of each task, then a second of each, and so on."""
    turn: dict[str, int] = {}
    keyed = []
    for place, example in enumerate(examples):
        turn[example.task] = turn.get(example.task, -1) + 1
        keyed.append((turn[example.task], place, example))
    return [example for _, _, example in sorted(keyed, key=lambda item: item[:2])]
