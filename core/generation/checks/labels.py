"""Does the input of a classification example say its own label?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.triple import Flag, Triple
from core.generation.checks.words import UNSPACED, folded

UNSPACED_TEXT = re.compile(rf"[{UNSPACED}]")
HANGUL = re.compile(r"[\uac00-\ud7af]")
SHORTEST_STEM = 5  # letters that two forms of a word must share at their beginning
STEM_SHARE = 0.62  # of the longer form, so that “art” is not found in “article”
LABEL_SHARE = 0.7  # of the label's own word
SHORTEST_CONTENT = 4  # letters; shorter words of a label (of, and, e) carry no meaning
WINDOW = 3  # words of the text that may stand between the words of a label, for each of them
MOST_WORDS = 3  # of a longer label two thirds are enough


def label_leak(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """The input text holds its label, also in another form: then the words are matched and nothing is learnt of the meaning."""
    if triple.group is not TaskGroup.LONG_SHORT:
        return
    label = triple.texts.positive
    if found := find_label(triple.texts.query, label):
        yield Flag("label_leak", f"The input text contains the label “{label[:60]}” as “{found[:60]}”.", "positive", 0.6)


def find_label(text: str, label: str) -> str:
    """The words of the text that say the label, or ""."""
    wanted, flat = folded(label), folded(text)
    if UNSPACED_TEXT.search(wanted):
        return wanted if len(wanted) >= 2 and wanted in flat else ""
    words = flat.split()
    parts = [word for word in wanted.split() if len(word) >= SHORTEST_CONTENT or HANGUL.search(word)] or wanted.split()
    if len(parts) == 1 and len(wanted.split()) == 1:
        return next((word for word in words if same_word(parts[0], word)), "")
    places = [next((i for i, word in enumerate(words) if same_word(part, word)), None) for part in parts]
    known = sorted(place for place in places if place is not None)
    enough = len(parts) if len(parts) < MOST_WORDS else -(-2 * len(parts) // 3)
    if len(known) < enough or len(known) < min(2, len(parts)) or known[-1] - known[0] > WINDOW * len(parts):
        return ""
    return " ".join(words[known[0] : known[-1] + 1])


def same_word(one: str, other: str) -> bool:
    """Whether a word of a label and one of a text are forms of one: equal, or equal at their beginning for most of their length."""
    if one == other:
        return True
    if HANGUL.search(one):
        return len(one) >= 2 and other.startswith(one)  # particles are written onto the word
    a, b = _plain(one), _plain(other)
    if a[:SHORTEST_STEM] != b[:SHORTEST_STEM]:
        return False
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return shared >= max(SHORTEST_STEM, STEM_SHARE * max(len(a), len(b)), LABEL_SHARE * len(a))


@lru_cache(maxsize=4096)  # labels and their texts use the same words again and again
def _plain(word: str) -> str:
    """Without accents, which forms of one word may differ in."""
    if word.isascii():
        return word
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
