"""Phrases that no document holds of itself: refusals, chat openers and closers, leftovers of a form, talk about the own relevance.

What stands in quotation marks is not looked at: a text may speak about such phrases. Openers and refusals count at the beginning of a
text, closers at its end, since a letter or a dialogue may hold the same words in its middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from core.domain.checks import Thresholds
from core.domain.triple import Flag, Triple
from core.generation.checks.words import fields_of, sentences, unquoted

BEGINNING = 220  # characters
END = 260


PHRASES = Path(__file__).parent / "wordings"


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


def _listed(name: str) -> str:
    """Alternatives of a file in wordings/, one a line."""
    lines = (PHRASES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return "|".join(line for line in lines if line and not line.startswith("#"))


YES, HERE, WORK = _listed("yes"), _listed("here"), _listed("work")
OPENERS = _any(
    rf"^\W{{0,3}}(?:{YES})\s?[!,.:;，！。、—–-]+\s?[^\n]{{0,160}}?(?:[:：]\s|[:：]$|(?:{HERE})|\n)",
    rf"^\W{{0,3}}(?:{HERE})[^\n.。]{{0,90}}?(?:{WORK})[^\n.。]{{0,90}}?[:：]",
    r"^\W{0,3}(?:positive|negative|hard negative|translation|document|passage|output|answer)(?: document| passage)?\s*[:：]\s",
)
REFUSALS, OF_A_MODEL = _any(_listed("refusals")), _any(_listed("of_a_model"))
CLOSERS, LEFTOVERS = _any(_listed("closers")), _any(_listed("leftovers"))
SELF, ASKED, QUESTION, FITS = (_any(_listed(name)) for name in ("self", "asked", "question", "fits"))
OUTRIGHT = _any(r"\b(?:this|the) (?:document|passage|text|article) is (?:\w+ )?(?:ir)?relevant (?:because|since|to|as)\b")
CAPITAL_SLOT = re.compile(r"\[[A-Z][A-Z]{2,}(?:[ _][A-Z]{2,}){0,3}\]")


def find_refusal(text: str) -> str:
    """The words by which a text refuses or says that a model wrote it, or ""."""
    start = unquoted(text)[:BEGINNING]
    match = REFUSALS.search(start) or OF_A_MODEL.search(start)
    return " ".join(match.group().split())[:60] if match else ""


def refusal(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """The model apologised instead of writing."""
    for name, text in fields_of(triple.texts):
        if words := find_refusal(text):
            yield Flag("refusal", f"The {name} reads like a refusal: “{words}”.", name, 1.0)


def boilerplate(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """Words of a chat around the text, or leftovers of a form: a greeting, an offer, a placeholder, a word count, a code fence."""
    for name, text in fields_of(triple.texts):
        if match := OPENERS.search(text[:BEGINNING]) or CLOSERS.search(unquoted(text)[-END:]):
            yield Flag("boilerplate", f"The {name} holds words of a chat: “{_shown(match)}”.", name, 0.8)


def prompt_echo(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A slot, a field's name, a placeholder or filler text was left standing."""
    for name, text in fields_of(triple.texts):
        if match := LEFTOVERS.search(text) or CAPITAL_SLOT.search(text):
            yield Flag("prompt_echo", f"The {name} holds a leftover of a form: “{_shown(match)}”.", name, 0.9)


def meta_talk(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A text speaks about its own relevance, at its beginning or its end."""
    for name, text in fields_of(triple.texts):
        pieces = sentences(unquoted(text))
        for piece in {*pieces[:2], *pieces[-2:]}:
            if _speaks_of_itself(piece):
                yield Flag("meta_talk", f"The {name} talks about its own relevance: “{piece[:120]}”.", name, 0.7)


def _speaks_of_itself(sentence: str) -> bool:
    """It points at itself and at the one who asks, and says that the two fit or do not."""
    if OUTRIGHT.search(sentence):
        return True
    if not (SELF.search(sentence) or sentence.startswith("In response")):  # the cheapest of the three, and the rarest
        return False
    asked = ASKED.search(sentence)
    if sentence.startswith("In response"):
        return asked is not None
    return bool((asked or QUESTION.search(sentence)) and FITS.search(sentence))


def _shown(match: re.Match[str]) -> str:
    return " ".join(match.group().split())[:60]
