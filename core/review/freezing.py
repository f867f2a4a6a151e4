"""What a dataset version is made of: examples, the hash of their content, and what can be said of two versions."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.domain.dataset import Example, Split
from core.domain.identity import normalise
from core.domain.review import TripleRecord


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Triples by what happened to them between two versions."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    rewritten: tuple[str, ...]  # edited in between
    moved: tuple[str, ...]  # from one side of the split to the other
    same: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """One text that stands on both sides of the split."""

    text: str
    kind: str  # query | document
    train_triples: tuple[str, ...]
    heldout_triples: tuple[str, ...]


def to_examples(records: Iterable[TripleRecord], heldout_tasks: frozenset[str]) -> list[Example]:
    """Examples with the texts as they stand now; of triples that became the same by an edit the first is kept."""
    seen: set[str] = set()
    examples = []
    for record in records:
        triple = record.triple.with_texts(record.texts)
        if triple.id in seen:
            continue
        seen.add(triple.id)
        examples.append(
            Example(
                triple_id=record.id,
                group=triple.group,
                task=triple.task,
                texts=triple.texts,
                language=triple.language,
                target_language=triple.target_language,
                split=Split.HELDOUT if triple.task_id in heldout_tasks else Split.TRAIN,
                topic=triple.topic,
                slots=triple.slots,
                source=triple.source,
            )
        )
    return examples


def content_hash(examples: Iterable[Example]) -> str:
    """SHA-256 over everything a training or an evaluation reads, whatever the order of the examples."""
    lines = sorted(
        json.dumps(
            [e.split, e.group, e.task, e.texts.query, e.texts.positive, e.texts.negative, e.language, e.target_language],
            ensure_ascii=False,
        )
        for e in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def counts_of(examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    """Number of examples by group, language and source, most frequent first."""
    by = {
        "group": Counter(e.group.value for e in examples),
        "language": Counter(e.language for e in examples),
        "source": Counter(e.source for e in examples),
    }
    return {name: dict(counter.most_common()) for name, counter in by.items()}


def compare(older: Sequence[Example], newer: Sequence[Example]) -> VersionDiff:
    """What changed from one version to another, by triple."""
    before, after = ({e.triple_id: e for e in side} for side in (older, newer))
    both = [i for i in after if i in before]
    rewritten = tuple(i for i in both if before[i].texts != after[i].texts)
    moved = tuple(i for i in both if before[i].split is not after[i].split)
    touched = {*rewritten, *moved}
    return VersionDiff(
        added=tuple(i for i in after if i not in before),
        removed=tuple(i for i in before if i not in after),
        rewritten=rewritten,
        moved=moved,
        same=len(both) - len(touched),
    )


def find_overlap(examples: Iterable[Example]) -> list[Overlap]:
    """Texts that occur in training and in the held-out part, ignoring case and spacing (Wang et al. 2024, appendix A).

    Queries are compared with queries and documents with documents. Labels of classification tasks may recur rightly: different tasks
    share label names.
    """
    places: dict[tuple[str, str], dict[Split, list[str]]] = {}
    originals: dict[tuple[str, str], str] = {}
    for example in examples:
        texts = example.texts
        for kind, text in (("query", texts.query), ("document", texts.positive), ("document", texts.negative)):
            if text is not None:
                key = kind, "".join(normalise(text).casefold().split())
                originals.setdefault(key, text)
                places.setdefault(key, {}).setdefault(example.split, []).append(example.triple_id)
    return [
        Overlap(originals[key], key[0], tuple(sides[Split.TRAIN]), tuple(sides[Split.HELDOUT]))
        for key, sides in places.items()
        if len(sides) == len(Split)
    ]
