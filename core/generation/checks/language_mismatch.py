"""Is a text in the language that was asked for, all of it?

A text is only called wrong when no detector that knows the asked language supports it. Short texts and close relatives are left alone
unless their letters or their small words tell.

Detectors cost more than all other checks together, so they come last: first the letters (by_letters.py), which settle every language that
has a script of its own, then the small words (common_words.py), which settle most texts that are as they should be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from core.domain.languages import LANGUAGES, Language
from core.generation.checks.by_letters import Mismatch, han_mismatch, script_mismatch, telling_letters
from core.generation.checks.common_words import speaks, speaks_none, spoken_instead
from core.generation.checks.detectors import (
    SAME_TO_DETECTORS,
    UNKNOWN_TO_FASTTEXT,
    UNKNOWN_TO_LANGID,
    accepted_codes,
    detector_code,
    fasttext_says,
    langid_says,
    name_of,
)
from core.generation.checks.letters import SCRIPT_WORDS, Letters, letters_of, script_of
from core.generation.checks.words import sentences, unquoted

FEWEST_LETTERS = 25  # below this, detectors guess
FEWEST_LETTERS_SPACELESS = 12
UNWRITTEN_VOWELS = ("Arab", "Beng", "Deva", "Hebr")  # vowels are no letters of their own: a word has half as many as a Latin one
FEWEST_IN_OTHER_SCRIPT = 4  # letters, all in a script that is neither the asked one nor the Latin, which names are written in everywhere
FEWEST_LETTERS_AGREED = 15  # a text between this and FEWEST_LETTERS is judged only where both detectors agree and fastText is sure
SURE_BY_WORDS = 0.9
SURE = 0.7  # of fastText; below it says nothing alone
LEAST_SURE = 0.3  # and below this nothing at all; between them langid must name the same language
SURE_OF_SILENT = 0.5  # of fastText, where a text has none of the small words of the asked language
ADDED_BY_SILENCE = 0.2  # to how sure that is
SURE_OF_RELATIVE = 0.9  # of fastText, where langid names the same relative: then it is not confusion
RELATIVE_LETTERS = 60  # and the text is long enough
OWN_LETTERS_ARE_FREQUENT = {"uk": ("ru",), "be": ("ru",), "mk": ("bg",), "fa": ("ar",)}  # a sentence without one of them is in the relative
LETTERS_WITHOUT_OWN = 40
FEWEST_TELLING = 2  # of the other language's letters, and none of the own
SCRIPTS_OF_ONE = frozenset(  # no other language that a detector knows well is written in these: the script decides
    ("Armn", "Beng", "Ethi", "Geor", "Grek", "Gujr", "Guru", "Hans", "Hant", "Jpan", "Khmr", "Knda", "Kore", "Laoo", "Mlym", "Mymr", "Orya",
     "Sinh", "Taml", "Telu", "Thai")
)  # fmt: skip
SCRIPTS_TO_COMPARE = frozenset(("Beng", "Hans", "Hant", "Jpan"))  # the letters themselves tell which of two languages it is
PART_LETTERS = 30  # a foreign part has at least so many letters
PART_LETTERS_SPACELESS = 14
DENSE = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR"))  # few characters say much
FEWEST_PART_WORDS = 7  # Latin words in a row that are no name or term
PART_SURE = 0.85  # of fastText, for a part of a text
FAMILIES = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK"}  # written together
SURELY_CODE = re.compile(r"[<>={}_\\|#$]")
CODE_SIGN = re.compile(r"[{}<>=_\\/|;()\[\]#$%^*]")


def find_mismatch(text: str, name: str) -> Mismatch | None:
    """Evidence that `text` is not in the language `name`, or None: it is, it is too short to tell, or the name is unknown."""
    language = LANGUAGES.get(name)
    if language is None:
        return None
    letters = letters_of(text)
    if found := han_mismatch(letters, language):
        return found
    dense = language.characters_a_word or language.script in ("Kore", *UNWRITTEN_VOWELS)
    if letters.count < (FEWEST_LETTERS_SPACELESS if dense else FEWEST_LETTERS):
        return _short_mismatch(text, letters, language)
    by_letters = script_mismatch(letters, language) or _relative_mismatch(text, letters, language)
    return by_letters or _language_mismatch(text, language)


def find_foreign_part(text: str, name: str) -> tuple[str, Mismatch] | None:
    """The first run of sentences that is in another language than `name`, and why; None where there is none.

    Quoted words, names and terms are shorter than what is looked at here.
    """
    language = LANGUAGES.get(name)
    if language is None:
        return None
    whole = letters_of(text)
    plain = set(whole.scripts) <= set(SCRIPT_WORDS[language.script]) and not _relatives_letters(whole, language)
    if plain and language.script in SCRIPTS_OF_ONE - SCRIPTS_TO_COMPARE:
        return None
    pieces = sentences(unquoted(text))
    for piece in pieces if len(whole.scripts) < 2 else _runs_by_script(pieces):
        own_script = plain or (language.script == "Latn" and piece.isascii())
        if len(piece) < PART_LETTERS_SPACELESS or (own_script and language.script not in SCRIPTS_OF_ONE and _is_plainly(piece, language)):
            continue
        letters = letters_of(piece)
        dense = sum(letters.scripts.get(script, 0) for script in DENSE) > letters.count / 2
        if letters.count < (PART_LETTERS_SPACELESS if dense else PART_LETTERS) or _looks_like_code(piece):
            continue
        if mismatch := _part_mismatch(piece, letters, language):
            return piece, mismatch
    return None


def _part_mismatch(piece: str, letters: Letters, language: Language) -> Mismatch | None:
    if found := script_mismatch(letters, language) or han_mismatch(letters, language):
        latin = language.script != "Latn" and letters.first == "LATIN"
        named = sum(any(map(str.isalpha, word)) for word in piece.split()) < FEWEST_PART_WORDS or SURELY_CODE.search(piece)
        return None if latin and named else found
    if found := _relative_mismatch(piece, letters, language):
        return found
    if language.romanized or language.code == "my-Qaag":
        return None
    found = _language_mismatch(piece, language)
    return found if found and found.certainty >= PART_SURE else None


def _relative_mismatch(text: str, letters: Letters, language: Language) -> Mismatch | None:
    """By letters that only one of two close languages has; detectors take one for the other."""
    for own, other, named in telling_letters().get(language.code, ()):
        if letters.of(own):
            continue
        missed = letters.count >= LETTERS_WITHOUT_OWN and named in OWN_LETTERS_ARE_FREQUENT.get(language.code, ())
        if letters.of(other) >= FEWEST_TELLING or (missed and fasttext_says(text)[0] == named):
            return Mismatch(f"its letters are those of {name_of(named)}", 0.8)
    return None


def _language_mismatch(text: str, language: Language) -> Mismatch | None:
    """By the words of a text, whose letters are as they should be."""
    if language.romanized:  # detectors do not know these; English is the likely mistake
        found, share = fasttext_says(text)
        return Mismatch(f"reads as English ({share:.2f})", share) if found == "en" and share >= SURE_OF_RELATIVE else None
    # Zawgyi misuses the code points of Burmese: the script is all that can be checked.
    if language.code == "my-Qaag" or language.script in SCRIPTS_OF_ONE or _speaks(text, language):
        return None
    code = detector_code(language)
    if (other := spoken_instead(text, code)) and other not in _beside(code):
        return Mismatch(f"its small words are those of {name_of(other)}", SURE_BY_WORDS)
    return _relative_by_detectors(text, code) or _silent_mismatch(text, language) or _stranger_by_detectors(text, code)


def _relative_by_detectors(text: str, code: str) -> Mismatch | None:
    """Both detectors name the same close relative of the language, and one of them is sure."""
    found, share = fasttext_says(text)
    unlike = found in accepted_codes(code) - {code} and code not in SAME_TO_DETECTORS | UNKNOWN_TO_FASTTEXT
    if unlike and share >= SURE_OF_RELATIVE and letters_of(text).count >= RELATIVE_LETTERS and langid_says(text) == found:
        return Mismatch(f"reads as {name_of(found)} ({share:.2f})", share)
    return None


def _silent_mismatch(text: str, language: Language) -> Mismatch | None:
    """One detector names another language, and there is no small word of the asked one."""
    code = detector_code(language)
    found, share = fasttext_says(text)
    least = SURE_OF_RELATIVE if found in accepted_codes(code) else SURE_OF_SILENT
    if share < least or found == code or found in _beside(code) or not speaks_none(text, code):
        return None
    return Mismatch(f"reads as {name_of(found)}, and has no small word of {language.name}", min(1.0, share + ADDED_BY_SILENCE))


def _stranger_by_detectors(text: str, code: str) -> Mismatch | None:
    """No detector that knows the language supports it; where the first is not sure, the second must name the same other one."""
    accepted = accepted_codes(code)
    found, share = fasttext_says(text)
    if code not in UNKNOWN_TO_FASTTEXT and (found in accepted or share < LEAST_SURE):
        return None
    second = langid_says(text)
    if (share < SURE and second != found) or (code not in UNKNOWN_TO_LANGID and second in accepted):
        return None
    if code in UNKNOWN_TO_FASTTEXT:
        return Mismatch(f"reads as {name_of(second)}", 0.5)
    return Mismatch(f"reads as {name_of(found)} ({share:.2f})", share)


def _short_mismatch(text: str, letters: Letters, language: Language) -> Mismatch | None:
    """A phrase too short for one detector: its script, its small words, or two detectors that agree must speak against it."""
    if letters.count >= FEWEST_IN_OTHER_SCRIPT and not set(letters.scripts) & {"LATIN", *SCRIPT_WORDS[language.script]}:
        return Mismatch(f"its letters are {letters.first.capitalize()}", 0.9)
    code = detector_code(language)
    if letters.count < FEWEST_LETTERS_AGREED or language.romanized or language.script in SCRIPTS_OF_ONE:
        return None
    if (other := spoken_instead(text, code)) and other not in _beside(code):
        return Mismatch(f"its small words are those of {name_of(other)}", 0.6)
    if code in UNKNOWN_TO_FASTTEXT | UNKNOWN_TO_LANGID or _speaks(text, language):
        return None
    found, share = fasttext_says(text)
    if share < SURE_OF_RELATIVE or found in accepted_codes(code) or langid_says(text) != found:
        return None
    return Mismatch(f"reads as {name_of(found)} ({share:.2f})", 0.5 * share)


def _speaks(text: str, language: Language) -> bool:
    """Whether the small words of a text are those of the language, and not as much those of another."""
    code = detector_code(language)
    return speaks(text, code, _beside(code))


@cache
def _beside(code: str) -> frozenset[str]:
    """Relatives that share most small words with a language, and those that letters tell from it."""
    relatives = accepted_codes(code) - {code}
    by_letters = {relative for _, _, relative in telling_letters().get(code, ())}
    return relatives if code in SAME_TO_DETECTORS else (relatives & SAME_TO_DETECTORS) | by_letters


def _relatives_letters(letters: Letters, language: Language) -> bool:
    """Whether any letter is one that only a close relative of the language has."""
    return any(letters.of(other) for _, other, _ in telling_letters().get(language.code, ()))


def _is_plainly(piece: str, language: Language) -> bool:
    """The quick way out for nearly all sentences in the script of their language: too short, or in its words."""
    return len(piece) < PART_LETTERS or _speaks(piece, language)


def _runs_by_script(pieces: Sequence[str]) -> Iterator[str]:
    """Sentences, and within each the runs of one script, so that a change in the middle of a sentence is seen."""
    for piece in pieces:
        families = Counter[str]()
        for script, count in letters_of(piece).scripts.items():
            families[FAMILIES.get(script, script)] += count
        if sum(count >= PART_LETTERS_SPACELESS for count in families.values()) < 2:
            yield piece
            continue
        runs, script = [""], ""
        for character in piece:
            its = FAMILIES.get(name := script_of(character), name) if character.isalpha() else script
            if its != script and script:
                runs.append("")
            runs[-1], script = runs[-1] + character, its
        long = [run for run in runs if sum(map(str.isalpha, run)) >= PART_LETTERS_SPACELESS]
        yield from (long if len(long) > 1 else [piece])


def _looks_like_code(piece: str) -> bool:
    """Code, paths and formulas are in no language."""
    return len(CODE_SIGN.findall(piece)) > len(piece) / 15
