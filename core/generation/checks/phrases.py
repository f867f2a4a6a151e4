"""Phrases that no document holds of itself: refusals, chat openers and closers, leftovers of a form, talk about the own relevance.

What stands in quotation marks is not looked at: a text may speak about such phrases. Openers and refusals count at the beginning of a
text, closers at its end, since a letter or a dialogue may hold the same words in its middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.domain.checks import Thresholds
from core.domain.groups import GROUPS
from core.domain.triple import Flag, Triple
from core.generation.checks.phrase_lists import PhraseList, lines_of
from core.generation.checks.words import fields_of, sentences, unquoted

BEGINNING = 220  # characters
END = 260

YES, HERE, WORK = ("|".join(lines_of(name)) for name in ("yes", "here", "work"))
OPENERS = re.compile(  # at the very beginning, in small letters
    rf"\W{{0,3}}(?:(?:{YES})\s?[!,.:;，！。、—–-]+\s?[^\n]{{0,160}}?(?:[:：]\s|[:：]$|(?:{HERE})|\n)"
    rf"|(?:{HERE})[^\n.。]{{0,90}}?(?:{WORK})[^\n.。]{{0,90}}?[:：]"
    r"|(?:positive|negative|hard negative|translation|document|passage|output|answer)(?: document| passage)?\s*[:：]\s)"
)
REFUSALS = PhraseList([*lines_of("refusals"), *lines_of("of_a_model")])
CLOSERS, LEFTOVERS = PhraseList(lines_of("closers")), PhraseList(lines_of("leftovers"))
LEFTOVER_SIGNS = ("{", "[", "<", "_", "【", "［", "```", "xxxx", "lorem ipsum", "reply with")  # every leftover holds one of these
SELF, ASKED, QUESTION, FITS = (PhraseList(lines_of(name)) for name in ("self", "asked", "question", "fits"))
OUTRIGHT = re.compile(r"\b(?:this|the) (?:document|passage|text|article) is (?:\w+ )?(?:ir)?relevant (?:because|since|to|as)\b")
RESPONDING = "in response"
FIELD_NAMES = {name.lower() for facts in GROUPS.values() for name in facts.fields if not name.isalpha()}  # “label” may be an answer
CAPITAL_SLOT = re.compile(r"\[[A-Z][A-Z]{2,}(?:[ _][A-Z]{2,}){0,3}\]")


def find_refusal(text: str) -> str:
    """The words by which a text refuses or says that a model wrote it, or ""."""
    start = unquoted(text)[:BEGINNING]
    match = REFUSALS.search(start.lower())
    return _shown(match, start) if match else ""


def refusal(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """The model apologised instead of writing."""
    for name, text in fields_of(triple.texts):
        if words := find_refusal(text):
            yield Flag("refusal", f"The {name} reads like a refusal: “{words}”.", name, 1.0)


def boilerplate(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """Words of a chat around the text, or leftovers of a form: a greeting, an offer, a placeholder, a word count, a code fence."""
    for name, text in fields_of(triple.texts):
        start, end = text[:BEGINNING], unquoted(text)[-END:]
        if match := OPENERS.match(start.lower()):
            yield Flag("boilerplate", f"The {name} holds words of a chat: “{_shown(match, start)}”.", name, 0.8)
        elif match := CLOSERS.search(end.lower()):
            yield Flag("boilerplate", f"The {name} holds words of a chat: “{_shown(match, end)}”.", name, 0.8)


def prompt_echo(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A slot, a field's name, a placeholder or filler text was left standing."""
    for name, text in fields_of(triple.texts):
        small = text.lower()
        if small.strip() in FIELD_NAMES:
            yield Flag("prompt_echo", f"The {name} is the name of a field and nothing else: “{text.strip()}”.", name, 0.9)
            continue
        if not any(sign in small for sign in LEFTOVER_SIGNS):
            continue
        if match := LEFTOVERS.search(small) or CAPITAL_SLOT.search(text):
            yield Flag("prompt_echo", f"The {name} holds a leftover of a form: “{_shown(match, text)}”.", name, 0.9)


def meta_talk(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A text speaks about its own relevance, at its beginning or its end."""
    for name, text in fields_of(triple.texts):
        pieces = sentences(unquoted(text))
        for piece in dict.fromkeys((*pieces[:2], *pieces[-2:])):
            if _speaks_of_itself(piece):
                yield Flag("meta_talk", f"The {name} talks about its own relevance: “{piece[:120]}”.", name, 0.7)


def _speaks_of_itself(sentence: str) -> bool:
    """It points at itself and at the one who asks, and says that the two fit or do not."""
    small = sentence.lower()
    if not (SELF.search(small) or small.startswith(RESPONDING)):  # the rarest of all
        return False
    if OUTRIGHT.search(small):
        return True
    asked = ASKED.search(small) is not None
    if small.startswith(RESPONDING):
        return asked
    return bool((asked or QUESTION.search(small)) and FITS.search(small))


def _shown(match: re.Match[str], text: str) -> str:
    """What was found, as it stands in `text`; in small letters where these are not as many as the letters of the text."""
    found = text[match.start() : match.end()]
    return " ".join((found if len(found.lower()) == len(match.group()) else match.group()).split())[:60]
