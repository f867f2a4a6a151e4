"""Checks that need no person. They flag and never drop: a person, or a filter that a person chose, decides.

Each check is a function from a triple to flags. A flag has a code, words to show, the field, and a weight between 0 and 1 that says how
strongly it speaks for a fault; the review queue sorts by the sum of weights.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from functools import cache

from core.domain.groups import TaskGroup
from core.domain.identity import normalise
from core.domain.languages import count_words
from core.domain.triple import Flag, Texts, Triple
from core.generation.language_check import find_mismatch

LENGTH_SLACK = 0.8  # a text is short below this share of the asked length
NEAR_IDENTICAL = 0.8  # Jaccard similarity of character 5-grams
COPIED_WORDS = 8  # so many words in a row of a query are a copy
REPETITIVE = 0.5  # share of different word 3-grams below which a text goes in circles
QUERY_WORDS = {"less than 5 words": (1, 5), "5 to 15 words": (4, 18), "at least 10 words": (9, 10_000)}  # with a word of slack
INPUT_WORDS = {
    "less than 10": (0, 12),
    "at least 10": (10, None),
    "at least 50": (50, None),
    "at least 100": (100, None),
    "at least 200": (200, None),
}

_REFUSALS = re.compile(
    r"\b(?:as an ai\b|i(?:'m| am) sorry,? (?:but )?i (?:can(?:no|')t)|i can(?:not|'t) (?:help|assist|fulfil)"
    r"|i(?:'m| am) unable to (?:help|assist|provide)|language model,? i)"
    r"|作为(?:一个|一名)?(?:AI|人工智能|语言模型)|我无法(?:提供|协助|完成)|je suis désolé,? mais je ne peux|lo siento,? (?:pero )?no puedo"
    r"|es tut mir leid,? (?:aber )?ich kann",
    re.IGNORECASE,
)
_META = re.compile(
    r"\b(?:this|the) (?:\w+ )?(?:document|passage|text|article) (?:is|was|would be|seems) "
    r"(?:not )?(?:relevant|irrelevant|a (?:hard )?negative|a positive)"
    r"|\brelevan(?:t|ce) to the (?:user'?s? )?(?:query|question|task)\b"
    r"|\b(?:hard[_ ]negative|positive|negative)[_ ]document\b|\buser[_ ]query\b"
    r"|\b(?:answers|does not answer) the (?:user'?s? )?(?:query|question asked)\b",
    re.IGNORECASE,
)
_ECHO = re.compile(
    r"\{(?:task|language|num_words|query_\w+|unit|src_lang|tgt_lang|\w+_score)\}|\breply with one json object\b", re.IGNORECASE
)


def check_triple(triple: Triple) -> list[Flag]:
    """All flags of one triple, at most one for each code and field."""
    found: dict[tuple[str, str], Flag] = {}
    for check in CHECKS:
        for flag in check(triple):
            found.setdefault((flag.code, flag.field), flag)
    return list(found.values())


def wrong_language(triple: Triple) -> Iterator[Flag]:
    """A field is not in the language that was asked for. Labels are left alone: a task may name them in English."""
    for name, text in _fields(triple.texts):
        if triple.group is TaskGroup.LONG_SHORT and name != "query":
            continue
        asked = triple.language if name == "query" else triple.document_language
        if mismatch := find_mismatch(text, asked):
            message = f"The {name} should be in {asked}: {mismatch.evidence}."
            yield Flag("wrong_language", message, name, round(max(0.3, mismatch.certainty), 2))


def wrong_length(triple: Triple) -> Iterator[Flag]:
    """A field is clearly shorter or longer than its slot asked for."""
    for name, low, high in _asked_lengths(triple):
        text = dict(_fields(triple.texts)).get(name, "")
        words = count_words(text, triple.language if name == "query" else triple.document_language)
        if low and words < LENGTH_SLACK * low:
            weight = _rounded(0.2 + 0.5 * (1 - words / low))
            yield Flag("too_short", f"The {name} has about {words} words; at least {low} were asked.", name, weight)
        elif high and words > high:
            yield Flag("too_long", f"The {name} has about {words} words; {high} or fewer were asked.", name, 0.3)


def copied_query(triple: Triple) -> Iterator[Flag]:
    """A document repeats the query word for word, which the prompt forbids and which makes retrieval trivial."""
    if triple.group not in (TaskGroup.SHORT_LONG, TaskGroup.LONG_LONG):
        return
    query = _folded(triple.texts.query)
    for name, text in _fields(triple.texts):
        if name == "query":
            continue
        document = _folded(text)
        if len(query) >= 12 and query in document:
            yield Flag("copied_query", f"The {name} contains the whole query.", name, 0.7)
        elif run := _shared_run(query, document):
            yield Flag("copied_query", f"The {name} copies from the query: “{run}”.", name, 0.5)


def near_identical(triple: Triple) -> Iterator[Flag]:
    """Two of the texts are nearly the same: then the example teaches nothing, or the wrong thing."""
    texts = triple.texts
    if texts.negative is not None and (share := gram_similarity(texts.positive, texts.negative)) >= NEAR_IDENTICAL:
        yield Flag("near_identical", f"Positive and negative share {share:.0%} of their character 5-grams.", "negative", 0.9)
    if (share := gram_similarity(texts.query, texts.positive)) >= 0.9:
        yield Flag("query_is_positive", f"Query and positive share {share:.0%} of their character 5-grams.", "positive", 0.7)
    if texts.negative is not None and (share := gram_similarity(texts.query, texts.negative)) >= 0.9:
        yield Flag("query_is_negative", f"Query and negative share {share:.0%} of their character 5-grams.", "negative", 0.7)


def refusal(triple: Triple) -> Iterator[Flag]:
    """The model apologised instead of writing."""
    for name, text in _fields(triple.texts):
        if match := _REFUSALS.search(text):
            yield Flag("refusal", f"The {name} reads like a refusal: “{match.group()[:60]}”.", name, 1.0)


def meta_talk(triple: Triple) -> Iterator[Flag]:
    """A text speaks about its own relevance, or repeats the prompt."""
    for name, text in _fields(triple.texts):
        if match := _ECHO.search(text):
            yield Flag("prompt_echo", f"The {name} repeats the prompt: “{match.group()[:60]}”.", name, 0.9)
        elif match := _META.search(text):
            yield Flag("meta_talk", f"The {name} talks about its own relevance: “{match.group()[:60]}”.", name, 0.6)


def label_leak(triple: Triple) -> Iterator[Flag]:
    """A label of a classification example occurs in its input text."""
    if triple.group is not TaskGroup.LONG_SHORT:
        return
    text = f" {_folded(triple.texts.query)} "
    for name, label in _fields(triple.texts):
        folded = _folded(label)
        whole = folded if re.search(r"[^\x00-\u02ff]", folded) else f" {folded} "  # words only where spaces divide words
        if name != "query" and len(folded) >= 2 and whole in text:
            yield Flag("label_leak", f"The input text contains the {name} label “{label[:60]}”.", name, 0.6)


def repetitive(triple: Triple) -> Iterator[Flag]:
    """A text goes in circles, as small models do."""
    for name, text in _fields(triple.texts):
        words = _folded(text).split()
        grams = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
        if len(grams) >= 15 and (share := len(set(grams)) / len(grams)) < REPETITIVE:
            message = f"The {name} repeats itself: only {share:.0%} of its three-word runs are different."
            yield Flag("repetitive", message, name, _rounded(1 - share))


CHECKS: tuple[Callable[[Triple], Iterator[Flag]], ...] = (
    wrong_language, wrong_length, copied_query, near_identical, refusal, meta_talk, label_leak, repetitive,
)  # fmt: skip


def gram_similarity(first: str, second: str, *, size: int = 5) -> float:
    """Jaccard similarity of the sets of character n-grams, after folding case and punctuation: 0 to 1."""
    a, b = character_grams(first, size), character_grams(second, size)
    return len(a & b) / len(a | b) if a or b else 0.0


def _asked_lengths(triple: Triple) -> Iterator[tuple[str, int, int | None]]:
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
        yield from (("query", 300, None), ("positive", 300, None))


def _fields(texts: Texts) -> list[tuple[str, str]]:
    pairs = [("query", texts.query), ("positive", texts.positive)]
    return pairs if texts.negative is None else [*pairs, ("negative", texts.negative)]


def _folded(text: str) -> str:
    return " ".join(_not_in_words().sub(" ", normalise(text).casefold()).split())


@cache
def _not_in_words() -> re.Pattern[str]:
    """Punctuation and symbols. Python's own word class leaves out the vowel signs of Indic scripts and Thai, which are parts of words."""
    marks = "".join(re.escape(chr(point)) for point in range(0x300, 0x10000) if unicodedata.category(chr(point)) in ("Mn", "Mc"))
    return re.compile(rf"[^\w\s{marks}]")


def character_grams(text: str, size: int) -> set[str]:
    """Character n-grams of a text after folding case and punctuation."""
    folded = _folded(text)
    return {folded[i : i + size] for i in range(len(folded) - size + 1)} or ({folded} if folded else set())


def _shared_run(query: str, document: str) -> str:
    """Longest run of at least eight words that both have, or ""."""
    a, b = query.split(), document.split()
    match = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    return " ".join(a[match.a : match.a + match.size]) if match.size >= COPIED_WORDS else ""


def _rounded(weight: float) -> float:
    return round(min(1.0, max(0.0, weight)), 2)
