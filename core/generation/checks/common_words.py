"""Which language do the small words of a text speak? The, und, не: a third of a running text, and enough to tell most languages.

Evidence that costs a hundredth of a detector: a text whose small words are those of the asked language need not be shown to one. It also
tells close relatives apart that detectors confuse, by the words that only one of the two has.
"""

from __future__ import annotations

from functools import cache, lru_cache

from core.generation.checks.phrase_lists import lines_of
from core.generation.checks.words import folded

FEWEST = 2  # such words before they count
CLEAR_SHARE = 0.12  # of the words of a text
CLEAR_LEAD = 1.6  # times the words of any other language
FEWEST_FOREIGN = 3  # different words that only the other language has
FOREIGN_SHARE = 0.12  # of the words of a text
FOREIGN_LEAD = 4.0  # times those that only the asked language has
FEWEST_SILENT = 6  # words of a text that has none of the small words of its language only by a rare chance
MOST_WORDS = 60  # of a text; the rest says the same
NOBODY: tuple[float, tuple[str, ...]] = (0.0, ())


@lru_cache(maxsize=256)
def speaks(text: str, code: str, beside: frozenset[str] = frozenset()) -> bool:
    """Whether a text is in the language `code`: enough of its small words, and clearly more than of any other language.

    Languages `beside` it share nearly all of these words with it: there it is enough not to have less. False for languages whose words
    are not listed.
    """
    own = _words_of().get(code)
    words = _words(text)
    if own is None or sum(map(own.__contains__, words)) < max(FEWEST, CLEAR_SHARE * len(words)):
        return False
    weights = _weights(words)
    return all(weights[code] >= (1.0 if other in beside else CLEAR_LEAD) * its for other, its in weights.items() if other != code)


def spoken_instead(text: str, code: str) -> str:
    """Code of the language whose small words a text holds where it holds few or none of those of `code`; "" where there is none such."""
    words, own = _words(text), _words_of().get(code)
    weights = _weights(words)
    other = max(weights, key=lambda one: (weights[one], one), default="")
    if own is None or other in ("", code):
        return ""
    its = _words_of()[other]
    only_its, only_own = sum(word in its and word not in own for word in words), sum(word in own and word not in its for word in words)
    different = len(its.difference(own).intersection(words))
    enough = different >= FEWEST_FOREIGN and only_its >= FOREIGN_SHARE * len(words)
    return other if enough and only_its >= FOREIGN_LEAD * only_own else ""


def speaks_none(text: str, code: str) -> bool:
    """Whether a text of several words holds no small word of a language whose small words are listed."""
    words, own = _words(text), _words_of().get(code)
    return own is not None and len(words) >= FEWEST_SILENT and own.isdisjoint(words)


def _words(text: str) -> list[str]:
    return folded(text).split()[:MOST_WORDS]


def _weights(words: list[str]) -> dict[str, float]:
    """Language -> how many of the words are its small words, where one that n languages have counts 1 / n."""
    holders, weights = _holders(), dict[str, float]()
    for word in words:
        part, codes = holders.get(word, NOBODY)
        for code in codes:
            weights[code] = weights.get(code, 0.0) + part
    return weights


@cache
def _words_of() -> dict[str, frozenset[str]]:
    """Code of a language -> its small words, folded."""
    lines = (line.partition(":") for line in lines_of("common_words"))
    return {code.strip(): frozenset(folded(words).split()) for code, _, words in lines}


@cache
def _holders() -> dict[str, tuple[float, tuple[str, ...]]]:
    """Small word -> 1 over the number of languages it is one of, and their codes."""
    held: dict[str, list[str]] = {}
    for code, words in _words_of().items():
        for word in words:
            held.setdefault(word, []).append(code)
    return {word: (1 / len(codes), tuple(codes)) for word, codes in held.items()}
