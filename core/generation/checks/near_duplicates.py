"""Which of many texts are nearly the same, without comparing every pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from core.generation.checks.words import character_grams

LARGEST_BUCKET = 60  # an n-gram in more texts than this (“ given a ”) says nothing and would make every pair a candidate
FEWEST_SHARED = 3  # rarer n-grams two texts must share before they are compared


def near_pairs(texts: Sequence[str], *, threshold: float, size: int) -> Iterator[tuple[int, int, float]]:
    """Pairs (first, second, similarity) of places in `texts`, first < second, whose similarity is at least `threshold`.

    Similarity is the Jaccard index of the sets of character n-grams (`size` = n) after folding case and punctuation. Only pairs that
    share a few n-grams which are not in everything are compared, so the work grows with the number of real candidates and not with the
    square of the number of texts.
    """
    grams = [character_grams(text, size) for text in texts]
    for first, second in _candidates(grams):
        similarity = len(grams[first] & grams[second]) / len(grams[first] | grams[second])
        if similarity >= threshold:
            yield first, second, similarity


def _candidates(grams: Sequence[set[str]]) -> list[tuple[int, int]]:
    holders: dict[str, list[int]] = {}
    for index, some in enumerate(grams):
        for gram in some:
            holders.setdefault(gram, []).append(index)
    shared: Counter[tuple[int, int]] = Counter()
    for indices in holders.values():
        if 1 < len(indices) <= LARGEST_BUCKET:
            shared.update(combinations(indices, 2))
    return [pair for pair, count in shared.items() if count >= FEWEST_SHARED]
