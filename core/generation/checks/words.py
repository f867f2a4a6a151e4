"""How the checks see a text: its fields, folded words, character n-grams, sentences."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from core.domain.identity import normalise
from core.domain.triple import Texts

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, Burmese, Khmer, kana, Han
TERMINAL = ".!?…。！？．।॥؟۔።፧՞։჻។៕။༎;;·"
CLOSING = "\"'”’“»›«‹)]}）」』】〉》*_`"
SENTENCE_END = re.compile(rf"(?:[!?…。！？।॥؟۔።។။]|\.(?=[\s{re.escape(CLOSING)}]|$))[{re.escape(CLOSING)}]*\s*|\n+")
QUOTED = re.compile(
    r"“[^”]*”|„[^“”]*[“”]|«[^»]*»|»[^«]*«|「[^」]*」|『[^』]*』|\"[^\"\n]{1,200}\"|(?<!\w)'[^'\n]{2,200}'(?!\w)|‘[^’]*’|”[^”]*”"
)

QUOTE, LONE_APOSTROPHE = re.compile(r"[“„«»「『\"‘”]"), re.compile(r"(?<!\w)'")
TOKEN = re.compile(rf"[{UNSPACED}][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1-\u0ebc]*|[^\s{UNSPACED}]+")
ANY_UNSPACED = re.compile(rf"[{UNSPACED}]")
GRAM = 5  # characters
PROBES = 24
KEPT = 64  # texts: the checks of one triple ask for the same few again and again


def fields_of(texts: Texts) -> list[tuple[str, str]]:
    """(name, text) of the fields a triple has."""
    pairs = [("query", texts.query), ("positive", texts.positive)]
    return pairs if texts.negative is None else [*pairs, ("negative", texts.negative)]


@lru_cache(maxsize=KEPT)
def folded(text: str) -> str:
    """Words in small letters with one space between them; no punctuation."""
    if text.isascii():
        return " ".join(text.lower().translate(_ascii_not_in_words()).split())
    return " ".join(_not_in_words().sub(" ", normalise(text).casefold()).split())


@lru_cache(maxsize=KEPT)
def tokens(text: str) -> tuple[str, ...]:
    """Words of a folded text; where a script has no spaces, its characters."""
    flat = folded(text)
    return tuple(TOKEN.findall(flat) if not flat.isascii() and ANY_UNSPACED.search(flat) else flat.split())


@lru_cache(maxsize=KEPT)
def sentences(text: str) -> tuple[str, ...]:
    """Sentences and lines in their order, with their punctuation."""
    found, place = [], 0
    for match in SENTENCE_END.finditer(text):
        found.append(text[place : match.end()])
        place = match.end()
    return tuple(stripped for piece in (*found, text[place:]) if (stripped := piece.strip()))


@lru_cache(maxsize=KEPT)
def unquoted(text: str) -> str:
    """The text without what stands in quotation marks: what it says itself."""
    return QUOTED.sub(" ", text) if QUOTE.search(text) or ("'" in text and LONE_APOSTROPHE.search(text)) else text


def character_grams(text: str, size: int) -> set[str]:
    """Character n-grams of a text after folding case and punctuation."""
    flat = folded(text)
    return {flat[i : i + size] for i in range(len(flat) - size + 1)} or ({flat} if flat else set())


def gram_similarity(first: str, second: str, *, size: int = 5) -> float:
    """Jaccard similarity of the sets of character n-grams, after folding case and punctuation: 0 to 1."""
    a, b = character_grams(first, size), character_grams(second, size)
    return len(a & b) / len(a | b) if a or b else 0.0


def similarity_from(first: str, second: str, least: float) -> float:
    """`gram_similarity` where it may be at least `least`; 0 where a few of the 5-grams show that it is less, at a tenth of the cost.

    Texts as alike as `least` share at least that part of either one's 5-grams. Of those at PROBES places spread over the shorter text
    fewer than half of that part being found in the longer one is as good as proof that they are not.
    """
    short, long = sorted((folded(first), folded(second)), key=len)
    if len(short) < least * (len(long) - GRAM) / 2:  # the longer one may repeat itself, so half of what its length allows
        return 0.0
    places = len(short) - GRAM + 1
    if places >= 2 * PROBES:
        starts = (i * places // PROBES for i in range(PROBES))
        found = sum(short[start : start + GRAM] in long for start in starts)
        if found < least * PROBES / 2:
            return 0.0
    return gram_similarity(first, second)


def bounded(weight: float) -> float:
    """A weight of a flag: 0 to 1, two digits."""
    return round(min(1.0, max(0.0, weight)), 2)


@cache
def _not_in_words() -> re.Pattern[str]:
    """Punctuation and symbols. Python's own word class leaves out the vowel signs of Indic scripts and Thai, which are parts of words."""
    marks = "".join(re.escape(chr(point)) for point in range(0x300, 0x10000) if unicodedata.category(chr(point)) in ("Mn", "Mc"))
    return re.compile(rf"[^\w\s{marks}]")


@cache
def _ascii_not_in_words() -> dict[int, str]:
    """The same for texts of ASCII characters alone, as a table."""
    return {point: " " for point in range(128) if not (chr(point).isalnum() or chr(point) == "_")}
