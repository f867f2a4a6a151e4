"""Which scripts the letters of a text are in."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from core.generation.checks.words import KEPT

SCRIPT_WORDS = {  # ISO 15924 -> first words of the Unicode names of its letters
"Latn": ("LATIN",), "Cyrl": ("CYRILLIC",), "Arab": ("ARABIC",), "Armn": ("ARMENIAN",), "Beng": ("BENGALI",), "Deva": ("DEVANAGARI",),
    "Ethi": ("ETHIOPIC",), "Geor": ("GEORGIAN",), "Grek": ("GREEK",), "Gujr": ("GUJARATI",), "Guru": ("GURMUKHI",), "Hans": ("CJK",),
    "Hant": ("CJK",), "Hebr": ("HEBREW",), "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"), "Khmr": ("KHMER",),
    "Knda": ("KANNADA",), "Kore": ("HANGUL",), "Laoo": ("LAO",), "Mlym": ("MALAYALAM",), "Mymr": ("MYANMAR",), "Orya": ("ORIYA",),
    "Sinh": ("SINHALA",), "Taml": ("TAMIL",), "Telu": ("TELUGU",), "Thai": ("THAI",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters of a text, counted."""

    count: int
    characters: Mapping[str, int]  # every different letter; empty where all are ASCII, which tell nothing
    scripts: Mapping[str, int]  # first word of a letter's Unicode name -> letters
    first: str  # script of the first letter, "" without one

    def of(self, some: Iterable[str]) -> int:
        """How many of the letters are among `some`."""
        return sum(self.characters.get(letter, 0) for letter in some)


@lru_cache(maxsize=KEPT)
def letters_of(text: str) -> Letters:
    """The letters of a text. Every different character is looked at once, in the order in which they first come."""
    if text.isascii():
        count = len(text.translate(_ascii_other_than_letters()))
        return Letters(count, {}, {"LATIN": count} if count else {}, "LATIN" if count else "")
    characters = {character: count for character, count in Counter(text).items() if character.isalpha()}
    scripts: dict[str, int] = {}
    for character, count in characters.items():
        script = script_of(character)
        scripts[script] = scripts.get(script, 0) + count
    return Letters(sum(characters.values()), characters, scripts, next(iter(scripts), ""))


@cache
def script_of(letter: str) -> str:
    """First word of its Unicode name: LATIN, CYRILLIC, CJK."""
    return unicodedata.name(letter, "UNKNOWN").split()[0]


@cache
def _ascii_other_than_letters() -> dict[int, None]:
    """A table that takes out all but the letters."""
    return {point: None for point in range(128) if not chr(point).isalpha()}
