"""Is a text as long as its slot asked for? Does it go in circles?"""

from __future__ import annotations

from collections.abc import Iterator

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.languages import count_words
from core.domain.triple import Flag, Triple
from core.generation.checks.words import bounded, fields_of, folded

QUERY_WORDS = {"less than 5 words": (1, 5), "5 to 15 words": (4, 18), "at least 10 words": (9, 10_000)}  # with a word of slack
INPUT_WORDS = {
    "less than 10": (0, 12),
    "at least 10": (10, None),
    "at least 50": (50, None),
    "at least 100": (100, None),
    "at least 200": (200, None),
}
LONG_WORDS = 300  # of each text of the long-long group


def wrong_length(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """A field is clearly shorter or longer than its slot asked for."""
    texts = dict(fields_of(triple.texts))
    for name, low, high in asked_lengths(triple):
        if name not in texts:
            continue
        words = count_words(texts[name], triple.language if name == "query" else triple.document_language)
        if low and words < thresholds.shortest_share * low:
            weight = bounded(0.2 + 0.5 * (1 - words / low))
            yield Flag("too_short", f"The {name} has about {words} words; at least {low} were asked.", name, weight)
        elif high and words > high:
            yield Flag("too_long", f"The {name} has about {words} words; {high} or fewer were asked.", name, 0.3)


def length_shares(triple: Triple) -> Iterator[float]:
    """Found length over the least asked, for every field that has one."""
    texts = dict(fields_of(triple.texts))
    for name, low, _ in asked_lengths(triple):
        if low and name in texts:
            yield count_words(texts[name], triple.language if name == "query" else triple.document_language) / low


def asked_lengths(triple: Triple) -> Iterator[tuple[str, int, int | None]]:
    """(field, at least, at most) in words, from the slots the prompt carried."""
    slots = triple.slots
    if triple.group is TaskGroup.SHORT_LONG:
        asked = slots.get("num_words")
        if isinstance(asked, int | float):
            yield from (("positive", int(asked), None), ("negative", int(asked), None))
        if (bounds := QUERY_WORDS.get(str(slots.get("query_length")))) is not None:
            yield ("query", *bounds)
    elif triple.group is TaskGroup.LONG_SHORT and (span := INPUT_WORDS.get(str(slots.get("num_words")))):
        yield ("query", *span)
    elif triple.group is TaskGroup.LONG_LONG and slots:
        yield from (("query", LONG_WORDS, None), ("positive", LONG_WORDS, None))


def repetitive(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """A text goes in circles, as small models do."""
    for name, text in fields_of(triple.texts):
        words = folded(text).split()
        if len(set(words)) - 2 >= thresholds.repetitive * (len(words) - 2):
            continue  # every different word but the first two ends a run of its own
        grams = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
        if len(grams) >= 15 and (share := len(set(grams)) / len(grams)) < thresholds.repetitive:
            message = f"The {name} repeats itself: only {share:.0%} of its three-word runs are different."
            yield Flag("repetitive", message, name, bounded(1 - share))
