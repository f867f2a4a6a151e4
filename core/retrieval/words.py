"""Text to search words, for any script.

Words are lower-cased runs of letters, marks and digits; a few English function words are left out. Chinese, Japanese, Thai, Lao, Khmer and
Burmese put no spaces between words: their runs become overlapping pairs of characters.
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import regex

STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have",
    "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its", "of", "on", "or", "our", "she", "so", "such", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which",
    "who", "will", "with", "would", "you", "your",
))  # fmt: skip

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々〆"
_TOKEN = regex.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<word>(?:(?![{_UNSPACED}])[\p{{L}}\p{{M}}\p{{N}}])+)")
_CHARACTER = regex.compile(r"\X")  # a letter with the marks that stand on it


def search_words(text: str) -> list[str]:
    """Words of a text in their order, repeats kept.

    >>> search_words("The parser reads UTF-8")
    ['parser', 'reads', 'utf', '8']
    >>> search_words("检索模型")
    ['检索', '索模', '模型']
    """
    words: list[str] = []
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text).casefold()):
        found = match.group()
        if match.lastgroup == "word":
            if found not in STOP_WORDS:
                words.append(found)
        else:
            letters = _CHARACTER.findall(found)
            words.extend([found] if len(letters) == 1 else [first + second for first, second in pairwise(letters)])
    return words
