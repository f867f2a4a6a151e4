"""Does a text break off? A reply that is complete JSON may still hold a text that was cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.languages import LANGUAGES
from core.domain.triple import Flag, Triple
from core.generation.checks.phrase_lists import lines_of
from core.generation.checks.words import CLOSING, TERMINAL, fields_of, sentences

WITHOUT_STOPS = ("Thai", "Laoo", "Khmr", "Mymr", "Qaag")  # scripts whose texts may end without a mark
LIST_LINE = re.compile(r"^\s*(?:[-*•·–—#>|]|\(?\w{1,3}[.):）、])\s*")
FORMULA = re.compile(r"[=+*/\\^<>≈≤≥→×÷{}|~@#$%_–—−²³\d]")
SIGNATURE_WORDS = 5  # a last line so short is a name, a heading or a place and date
SIGNATURE_CHARACTERS = 12  # the same where a script has no spaces
LAST_CHARACTERS = 6  # the end of a line where a script has no spaces
LONGEST_UNIT = 3  # letters after a number: 230 V, 40 km
END = re.compile(rf"[{re.escape(TERMINAL)}][{re.escape(CLOSING)}\s]*$")
CLOSED = re.compile(rf"[{re.escape(CLOSING)}]\s*$")
HANGING_MARK = re.compile(r"[,;:、，；：،؛\-–—(\[{（]\s*$")
MARKED_SHARE = 0.75  # of the earlier sentences and lines; headings have no mark
FEWEST_SENTENCES = 3  # of a message: one that puts a mark after each of so many puts it after the last
FEWEST_WORDS_BESIDE = 6  # so long a phrase may be cut where the other texts of the triple end with a mark
FEWEST_CHARACTERS_BESIDE = 10  # the same where a script has no spaces
FEWEST_WORDS = 12  # a shorter text without a full stop is a phrase
FEWEST_CHARACTERS = 24  # the same where a script has no spaces
HANGING = frozenset(word for line in lines_of("hanging") for word in line.split())


def truncated(triple: Triple, _: Thresholds) -> Iterator[Flag]:
    """A text of several sentences stops in the middle of one."""
    for name, text in fields_of(triple.texts):
        if name == "query" and triple.group in (TaskGroup.SHORT_LONG, TaskGroup.SHORT_SHORT):
            continue  # people type questions without a full stop
        if name != "query" and triple.group is TaskGroup.LONG_SHORT:
            continue  # a label is no sentence
        language = LANGUAGES.get(triple.language if name == "query" else triple.document_language)
        unmarked = language is not None and language.script in WITHOUT_STOPS
        others = [END.search(other) is not None for key, other in fields_of(triple.texts) if key != name]
        # A short message may stop without a mark, but not within a phrase.
        only_hanging = triple.group is TaskGroup.LONG_SHORT and len(sentences(text)) < FEWEST_SENTENCES
        others_end = any(others) and triple.group is not TaskGroup.SHORT_SHORT
        spaceless = bool(language and language.characters_a_word)
        if weight := cut_weight(text, unmarked=unmarked or only_hanging, others_end=others_end, spaceless=spaceless):
            yield Flag("truncated", f"The {name} breaks off: “…{text.strip()[-40:]}”.", name, weight)


def cut_weight(text: str, *, unmarked: bool, others_end: bool, spaceless: bool) -> float:
    """How strongly the end of a text speaks for a cut, 0 to 1.

    `unmarked`: the script needs no mark at the end; `others_end`: another text of the triple ends with one; `spaceless`: no spaces
    between words.
    """
    stripped = text.strip()
    if not stripped or END.search(stripped) or _ends_as_list_or_formula(stripped, spaceless=spaceless):
        return 0.0
    last = re.sub(r"[^\w’']+", " ", stripped).split()[-1:] or [""]
    pieces = sentences(stripped)
    prose = len(pieces) > 1 or (len(stripped) >= FEWEST_CHARACTERS if spaceless else len(stripped.split()) >= FEWEST_WORDS)
    phrase = len(stripped) >= FEWEST_CHARACTERS_BESIDE if spaceless else len(stripped.split()) >= FEWEST_WORDS_BESIDE
    if HANGING_MARK.search(stripped) or last[0].casefold() in HANGING:
        surely = prose and (len(pieces) > 1 or others_end or unmarked)
        return 0.8 if (surely or (phrase and others_end)) and not CLOSED.search(stripped) else 0.0
    if unmarked or CLOSED.search(stripped) or not (prose or (phrase and others_end)):
        return 0.0
    marked = sum(END.search(piece) is not None for piece in pieces[:-1])
    consistent = len(pieces) > 1 and marked >= MARKED_SHARE * (len(pieces) - 1)
    return 0.6 if consistent or (others_end and len(pieces) == 1) else 0.0


def _ends_as_list_or_formula(text: str, *, spaceless: bool) -> bool:
    """The last line is an item of a list, a signature, code, a formula or all in capitals: these end without a full stop."""
    lines = [line for line in text.splitlines() if line.strip()]
    line = lines[-1].strip()
    words = line.split()
    signature = len(line) <= SIGNATURE_CHARACTERS if spaceless else len(words) <= SIGNATURE_WORDS
    if len(lines) > 1 and (LIST_LINE.match(line) or signature) and words[-1].casefold() not in HANGING:
        return True
    ending = [line[-LAST_CHARACTERS:]] if spaceless else words[-2:]
    letters = "".join(c for c in "".join(ending) if c.isalpha())
    quantity = len(ending) > 1 and ending[0][-1].isdigit() and len(ending[-1]) <= LONGEST_UNIT and ending[-1].casefold() not in HANGING
    return quantity or bool(FORMULA.search(ending[-1])) or (len(letters) > 1 and letters.isupper())
