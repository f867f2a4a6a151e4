"""Cut long text into passages of a size that an encoder can hold."""

from __future__ import annotations

import re

TARGET_WORDS = 120
MOST_WORDS = 180
FEWEST_WORDS = 25  # shorter pieces join the piece before them

_PARAGRAPHS = re.compile(r"\n\s*\n")
_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])")


def cut_into_passages(text: str, *, target_words: int = TARGET_WORDS, most_words: int = MOST_WORDS) -> list[str]:
    """Passages of about `target_words`, at most `most_words`; paragraphs stay whole where they fit, then sentences, then lines of words.

    A character of a script without spaces counts as half a word.
    """
    pieces = [piece for paragraph in _PARAGRAPHS.split(text.strip()) for piece in _small_enough(paragraph.strip("\n"), most_words)]
    passages: list[str] = []
    current: list[str] = []
    size = 0
    for piece in pieces:
        words = count_words(piece)
        if current and (size + words > most_words or size >= target_words):
            passages.append("\n\n".join(current))
            current, size = [], 0
        if words:
            current.append(piece)
            size += words
    if current:
        last = "\n\n".join(current)
        if passages and size < FEWEST_WORDS and count_words(passages[-1]) + size <= most_words:
            passages[-1] = f"{passages[-1]}\n\n{last}"
        else:
            passages.append(last)
    return passages


def count_words(text: str) -> int:
    """Words of a text; two Chinese or Japanese characters count as one."""
    wide = sum(1 for c in text if "\u3040" <= c <= "\u9fff" or "\u0e00" <= c <= "\u0e7f")
    return len(text.split()) + wide // 2


def _small_enough(paragraph: str, most_words: int) -> list[str]:
    if count_words(paragraph) <= most_words:
        return [paragraph] if paragraph.strip() else []
    return _packed(_SENTENCES.split(paragraph), most_words)


def _packed(sentences: list[str], most_words: int) -> list[str]:
    packed: list[str] = []
    for sentence in (s for s in sentences if s and s.strip()):
        if packed and count_words(packed[-1]) + count_words(sentence) <= most_words // 2:
            packed[-1] = f"{packed[-1]} {sentence}"
        elif count_words(sentence) <= most_words:
            packed.append(sentence)
        else:
            packed.extend(_by_words(sentence, most_words // 2))
    return packed


def _by_words(sentence: str, words: int) -> list[str]:
    parts = sentence.split()
    if len(parts) <= words:  # no spaces to cut at: by characters
        width = words * 2
        return [sentence[i : i + width] for i in range(0, len(sentence), width)]
    return [" ".join(parts[i : i + words]) for i in range(0, len(parts), words)]
