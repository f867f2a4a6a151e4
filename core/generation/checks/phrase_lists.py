"""The lists in wordings/: one regular expression or a few words a line, and a quick search for many expressions at once.

The regular expressions are tried at every place of every text that is written, so how they are put together decides what they cost: all
that begin at a word are tried only where a word begins, and without folding case (the text is folded once), so that nearly all of
them fail at their first letter. Lines of other scripts are only tried on texts that hold such letters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "wordings"
WORD_BEGINS = r"\b"
BEYOND_LATIN = re.compile(r"[\u0370-\u1dff\u2e80-\ud7ff\uf900-\ufdff\ufe70-\uffdc\U00010000-\U0003ffff]")


def lines_of(name: str) -> list[str]:
    """Lines of wordings/NAME.txt without comments."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


class PhraseList:
    """Finds the first place where one of many regular expressions, written in small letters, matches a text in small letters."""

    def __init__(self, lines: list[str]) -> None:
        others = [line for line in lines if any(character.isalpha() for character in BEYOND_LATIN.findall(line))]
        self._latin = _joined([line for line in lines if line not in others])
        self._others = _joined(others)

    def search(self, text: str) -> re.Match[str] | None:
        """The match of an expression in Latin letters, else of one in another script; None where none matches."""
        found = self._latin.search(text) if self._latin else None
        return found or (self._others.search(text) if self._others and beyond_latin(text) else None)


@lru_cache(maxsize=64)
def beyond_latin(text: str) -> bool:
    """Whether a text holds a letter of another script than the Latin."""
    return not text.isascii() and BEYOND_LATIN.search(text) is not None


def _joined(lines: list[str]) -> re.Pattern[str] | None:
    at_words = [line.removeprefix(WORD_BEGINS) for line in lines if line.startswith(WORD_BEGINS)]
    anywhere = [line for line in lines if not line.startswith(WORD_BEGINS)]
    parts = [rf"\b(?:{'|'.join(at_words)})"] * bool(at_words) + anywhere
    return re.compile("|".join(parts)) if parts else None
