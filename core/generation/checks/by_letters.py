"""What the letters of a text say against a language: their script, their characters, the letters that only a close relative has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from core.domain.languages import Language
from core.generation.checks.letters import SCRIPT_WORDS, Letters, script_of

SCRIPT_SHARE = 0.5  # of the letters that must be in the asked script
LETTERS_FOR_ONE = 3.0  # a Han, kana or Hangul character says as much as so many Latin letters
# Letters of one language that its close relative does not write: (code, code) -> letters of the first, letters of the second.
TELLING_LETTERS = {
    ("uk", "ru"): ("іїєґ", "ыэъё"), ("be", "ru"): ("іў", "иъщ"), ("uk", "be"): ("иїєщ", "ўыэё"),
    ("no", "sv"): ("øæ", "öä"), ("da", "sv"): ("øæ", "öä"),
    ("mk", "bg"): ("ѓќѕљњџј", "йщъь"), ("fa", "ar"): ("پچژگ", "ةىإ"), ("ur", "ar"): ("ٹڈڑےں", "ةىإ"),
    ("as", "bn"): ("ৰৱ", "র"),
}  # fmt: skip
HAN_STANDARDS = {"Hans": "gb2312", "Hant": "big5", "Jpan": "cp932"}  # each holds the common characters of one of the three writings
FEWEST_OTHER_HAN = 2  # different ones; a rare name has one
OTHER_HAN_SHARE = 0.12  # of the Chinese characters of a text


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a text is not in the asked language, and how sure that is (0 to 1)."""

    evidence: str
    certainty: float


def script_mismatch(letters: Letters, language: Language) -> Mismatch | None:
    """Most letters are in another script than that of the language, or there is kana where none belongs, or none where it does."""
    scripts = letters.scripts
    expected = SCRIPT_WORDS[language.script]
    dense = LETTERS_FOR_ONE if language.script in ("Hans", "Hant", "Jpan", "Kore") else 1.0
    own = dense * sum(scripts.get(word, 0) for word in expected)
    share = own / (own + letters.count - own / dense)
    kana = scripts.get("HIRAGANA", 0) + scripts.get("KATAKANA", 0)
    if language.script == "Jpan" and share >= SCRIPT_SHARE and not kana:
        return Mismatch("no kana in it", 0.9)
    if language.script in ("Hans", "Hant") and kana > 0.1 * letters.count:
        return Mismatch("kana in it", 0.9)
    if share >= SCRIPT_SHARE:
        return None
    main = max(scripts, key=lambda script: scripts[script]).capitalize()
    return Mismatch(f"{share:.0%} of its letters are in the script of {language.name}, most are {main}", 1.0 - share)


def han_mismatch(letters: Letters, language: Language) -> Mismatch | None:
    """Chinese characters that the older standard of the asked writing does not have: it has all that are in common use."""
    standard = HAN_STANDARDS.get(language.script)
    han = letters.scripts.get("CJK", 0)
    if standard is None or not han:
        return None
    others = [letter for letter in letters.characters if script_of(letter) == "CJK" and not _in_standard(letter, standard)]
    count = letters.of(others)
    if len(others) >= FEWEST_OTHER_HAN and count >= OTHER_HAN_SHARE * han:
        return Mismatch(f"{count} of its characters, such as {others[0]}, are not written in {language.name}", 0.8)
    return None


@cache
def _in_standard(letter: str, standard: str) -> bool:
    try:
        letter.encode(standard)
    except UnicodeEncodeError:
        return False
    return True


@cache
def telling_letters() -> dict[str, list[tuple[str, str, str]]]:
    """Code of a language -> (its own letters, those of a relative, the relative's code), small and capital."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for (first, second), (of_first, of_second) in TELLING_LETTERS.items():
        both = of_first + of_first.upper(), of_second + of_second.upper()
        found.setdefault(first, []).append((*both, second))
        found.setdefault(second, []).append((*both[::-1], first))
    return found
