"""Near duplicates among 100,000 texts: MinHash signatures, bands, then the true similarity of what falls together.

One hash of every character 5-gram fills all 126 places of a signature (one-permutation hashing, Li et al. 2012; empty places are filled
from the next full one, Shrivastava and Li 2014), so a text costs one pass. Imports numpy: only processes of jobs come here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.generation.checks.words import folded

GRAM = 5  # characters
PLACES = 126  # of a signature
LARGEST_PAIRED = 24  # texts in a bucket that are all paired; in a larger one each is paired with the first and the next few
NEXT = 3
KEPT_GRAMS = 4000  # gram sets held while candidates are compared
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def find_near_duplicates(
    texts: Sequence[str], *, threshold: float, tell: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[int, int, float]]:
    """Pairs (first, second, similarity) of places in `texts`, first < second, with at least `threshold`.

    Similarity is the Jaccard index of the sets of character 5-grams after folding case and punctuation. A pair at the threshold 0.8 is
    found with a chance of 0.998, one at 0.9 practically always; no pair below the threshold is given. `tell` hears how many
    texts were read.
    """
    rows = 6 if threshold >= 0.75 else 4 if threshold >= 0.6 else 3
    signatures = np.empty((len(texts), PLACES), dtype=np.uint32)  # (texts, places)
    for i, text in enumerate(texts):
        signatures[i] = signature(gram_hashes(text))
        if i % 2000 == 0:
            tell(i)
    cache: OrderedDict[int, NDArray[np.uint64]] = OrderedDict()

    def grams(i: int) -> NDArray[np.uint64]:
        if i not in cache:
            cache[i] = gram_hashes(texts[i])
            if len(cache) > KEPT_GRAMS:
                cache.popitem(last=False)
        cache.move_to_end(i)
        return cache[i]

    for first, second in sorted(_candidates(signatures, rows)):
        a, b = grams(first), grams(second)
        shared = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - shared
        if union and (similarity := shared / union) >= threshold:
            yield first, second, similarity


def gram_hashes(text: str) -> NDArray[np.uint64]:
    """Different hashes of the character 5-grams of a text, ascending; a shorter text is one gram."""
    flat = folded(text)
    codes = np.frombuffer(flat.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32).astype(np.uint64)
    if not len(codes):
        return codes
    size = min(GRAM, len(codes))
    with np.errstate(over="ignore"):
        mixed = np.zeros(len(codes) - size + 1, dtype=np.uint64)
        for offset in range(size):
            mixed = mixed * np.uint64(1_000_003) + codes[offset : offset + len(mixed)]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * MULTIPLIER
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.unique(mixed ^ (mixed >> np.uint64(31)))


def signature(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """MinHash signature, shape (126,): the share of equal places of two texts estimates their similarity."""
    lowest = np.full(PLACES, EMPTY)
    if len(hashes):
        places = (hashes >> np.uint64(40)) % np.uint64(PLACES)
        values = hashes & np.uint64(0xFFFFFFFF)
        order = np.lexsort((values, places))
        found, starts = np.unique(places[order], return_index=True)
        lowest[found.astype(np.int64)] = values[order][starts]
        full = np.flatnonzero(lowest != EMPTY)
        empty = np.flatnonzero(lowest == EMPTY)
        if len(empty):  # borrow from the next full place on the circle, told apart by the distance
            following = full[np.searchsorted(full, empty) % len(full)]
            distance = ((following - empty) % PLACES).astype(np.uint64)
            with np.errstate(over="ignore"):
                lowest[empty] = lowest[following] + distance * np.uint64(0x85EBCA6B)
    return (lowest & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def _candidates(signatures: NDArray[np.uint32], rows: int) -> set[tuple[int, int]]:
    """Pairs whose signatures agree in a whole band of `rows` places."""
    pairs: set[tuple[int, int]] = set()
    for start in range(0, PLACES - rows + 1, rows):
        band = np.ascontiguousarray(signatures[:, start : start + rows]).view([("", np.uint32)] * rows).ravel()
        order = np.argsort(band, kind="stable")
        same = np.flatnonzero(band[order][1:] == band[order][:-1])
        for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1) if len(same) else []:
            bucket = [int(i) for i in order[run[0] : run[-1] + 2]]
            pairs.update(_paired(bucket))
    return pairs


def _paired(bucket: Sequence[int]) -> Iterator[tuple[int, int]]:
    for k, one in enumerate(bucket):
        others = bucket[k + 1 :] if len(bucket) <= LARGEST_PAIRED else bucket[k + 1 : k + 1 + NEXT]
        yield from ((min(one, other), max(one, other)) for other in others)
    if len(bucket) > LARGEST_PAIRED:
        yield from ((min(bucket[0], other), max(bucket[0], other)) for other in bucket[1:])
