"""Where one text copies another, and what an edit changed: positions for a page to mark."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from enum import StrEnum

# Scripts without spaces count by character; elsewhere a word is a token.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
PIECE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|\s+|[^\w\s]")
COPY_WEIGHT = 6  # a run counts as copied from three words or six characters on
FEW_PIECES = 20  # words, spaces and signs: a shorter text can be read whatever is marked in it
REWRITTEN = 0.4  # of the shorter text's characters: where two versions share less, one is not a change of the other
Span = tuple[int, int]  # start and end in characters


class Change(StrEnum):
    """What happened to a piece of a text."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


def copied_spans(query: str, text: str) -> list[Span]:
    """Spans of `text` that repeat at least three words (or six characters of a script without spaces) of `query` in a row."""
    known = {words for words, _ in _runs(query)}
    spans: list[Span] = []
    for words, (start, end) in _runs(text):
        if words not in known:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _runs(text: str) -> list[tuple[tuple[str, ...], Span]]:
    """Every shortest run of tokens that is heavy enough to count as a copy."""
    tokens = list(TOKEN.finditer(text))
    weights = [1 if len(t.group()) == 1 and t.group() > "\u0e00" else 2 for t in tokens]
    runs = []
    for first in range(len(tokens)):
        total = 0
        for last in range(first, len(tokens)):
            total += weights[last]
            if total >= COPY_WEIGHT:
                words = tuple(t.group().casefold() for t in tokens[first : last + 1])
                runs.append((words, (tokens[first].start(), tokens[last].end())))
                break
    return runs


def changes(before: str, after: str) -> list[tuple[Change, str]]:
    """Pieces that, without the added ones, give `before`, and without the removed ones give `after`.

    Texts that share little but small words are shown as one removed and one added: word by word nobody could read either.
    """
    a, b = PIECE.findall(before), PIECE.findall(after)
    found: list[tuple[Change, str]] = []
    for kind, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append((Change.SAME, "".join(a[i:j])))
            continue
        if j > i:
            found.append((Change.REMOVED, "".join(a[i:j])))
        if m > k:
            found.append((Change.ADDED, "".join(b[k:m])))
    kept = sum(len(piece) for change, piece in found if change is Change.SAME)
    if min(len(a), len(b)) > FEW_PIECES and kept < REWRITTEN * min(len(before), len(after)):
        return [(Change.REMOVED, before), (Change.ADDED, after)]
    return found
