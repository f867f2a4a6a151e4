"""The 100 languages of XLM-R with code, script and default weight.

Weights are those of the open reproduction of Wang et al. 2024 (arXiv 2509.06184): English 0.431, thirteen languages 0.029 each, and 0.192
shared equally by all others. "Chinese" there is Chinese (Simplified) here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import BadPlan, NotFound

ENGLISH_WEIGHT = 0.431
MAJOR_WEIGHT = 0.029
REST_WEIGHT = 0.192  # shared equally
PAPER_LANGUAGES = "paper"  # the word files and options use for the weights of this table
MAJOR = frozenset(
    (
        "Arabic", "Chinese (Simplified)", "Dutch", "French", "German", "Indonesian", "Italian", "Japanese", "Persian", "Polish",
        "Portuguese", "Russian", "Spanish",
    )
)  # fmt: skip
# Scripts written without spaces between words, and characters that stand for about one English word.
CHARACTERS_A_WORD = {"Hans": 1.6, "Hant": 1.6, "Jpan": 2.0, "Thai": 5.0, "Laoo": 5.0, "Khmr": 5.5, "Mymr": 6.0}

_TABLE = """
Afrikaans af Latn|Albanian sq Latn|Amharic am Ethi|Arabic ar Arab|Armenian hy Armn|Assamese as Beng|Azerbaijani az Latn|Basque eu Latn
Belarusian be Cyrl|Bengali bn Beng|Bengali Romanized bn-Latn Latn|Bosnian bs Latn|Breton br Latn|Bulgarian bg Cyrl|Burmese my Mymr
Burmese (Zawgyi) my-Qaag Mymr|Catalan ca Latn|Chinese (Simplified) zh-Hans Hans|Chinese (Traditional) zh-Hant Hant|Croatian hr Latn
Czech cs Latn|Danish da Latn|Dutch nl Latn|English en Latn|Esperanto eo Latn|Estonian et Latn|Filipino fil Latn|Finnish fi Latn
French fr Latn|Galician gl Latn|Georgian ka Geor|German de Latn|Greek el Grek|Gujarati gu Gujr|Hausa ha Latn|Hebrew he Hebr|Hindi hi Deva
Hindi Romanized hi-Latn Latn|Hungarian hu Latn|Icelandic is Latn|Indonesian id Latn|Irish ga Latn|Italian it Latn|Japanese ja Jpan
Javanese jv Latn|Kannada kn Knda|Kazakh kk Cyrl|Khmer km Khmr|Korean ko Kore|Kurdish (Kurmanji) ku Latn|Kyrgyz ky Cyrl|Lao lo Laoo
Latin la Latn|Latvian lv Latn|Lithuanian lt Latn|Macedonian mk Cyrl|Malagasy mg Latn|Malay ms Latn|Malayalam ml Mlym|Marathi mr Deva
Mongolian mn Cyrl|Nepali ne Deva|Norwegian no Latn|Oriya or Orya|Oromo om Latn|Pashto ps Arab|Persian fa Arab|Polish pl Latn
Portuguese pt Latn|Punjabi pa Guru|Romanian ro Latn|Russian ru Cyrl|Sanskrit sa Deva|Scottish Gaelic gd Latn|Serbian sr Cyrl|Sindhi sd Arab
Sinhala si Sinh|Slovak sk Latn|Slovenian sl Latn|Somali so Latn|Spanish es Latn|Sundanese su Latn|Swahili sw Latn|Swedish sv Latn
Tamil ta Taml|Tamil Romanized ta-Latn Latn|Telugu te Telu|Telugu Romanized te-Latn Latn|Thai th Thai|Turkish tr Latn|Ukrainian uk Cyrl
Urdu ur Arab|Urdu Romanized ur-Latn Latn|Uyghur ug Arab|Uzbek uz Latn|Vietnamese vi Latn|Welsh cy Latn|Western Frisian fy Latn|Xhosa xh Latn
Yiddish yi Hebr
"""


@dataclass(frozen=True, slots=True)
class Language:
    """One language as prompts name it."""

    name: str
    code: str  # BCP 47
    script: str  # ISO 15924
    weight: float  # share in the default plan; all weights sum to 1

    @property
    def romanized(self) -> bool:
        """Written in Latin letters although its usual script is another."""
        return self.code.endswith("-Latn")

    @property
    def characters_a_word(self) -> float | None:
        """Characters that stand for about one English word, for scripts without spaces; None where spaces divide words."""
        return CHARACTERS_A_WORD.get(self.script)


def _read_table() -> dict[str, Language]:
    rows = [entry.rsplit(" ", 2) for line in _TABLE.strip().splitlines() for entry in line.split("|")]
    others = len(rows) - len(MAJOR) - 1
    weights = dict.fromkeys(MAJOR, MAJOR_WEIGHT) | {"English": ENGLISH_WEIGHT}
    return {name: Language(name, code, script, weights.get(name, REST_WEIGHT / others)) for name, code, script in rows}


LANGUAGES: dict[str, Language] = _read_table()


def paper_weights() -> dict[str, float]:
    """Default plan: language name -> share."""
    return {language.name: language.weight for language in LANGUAGES.values()}


def find_language(text: str) -> Language:
    """A language by its name or code, whatever the case.

    Raises:
        NotFound: not in the table; the hint names close ones.
    """
    wanted = text.strip().casefold()
    for language in LANGUAGES.values():
        if wanted in (language.name.casefold(), language.code.casefold()):
            return language
    close = [name for name in LANGUAGES if wanted[:3] and name.casefold().startswith(wanted[:3])]
    hint = f"Did you mean {', '.join(close)}?" if close else "Use an English name from the list of 100, for example French."
    raise NotFound(f"There is no language “{text}” in the table.", hint=hint)


def check_weights(weights: Mapping[str, float]) -> None:
    """Refuse a language plan that names an unknown language or holds no weight.

    Raises:
        NotFound: an unknown name.
        BadPlan: no weight above 0.
    """
    for name in weights:
        if name not in LANGUAGES:
            find_language(name)
            raise NotFound(f"“{name}” is not a name of the table.", hint=f"Write it as “{find_language(name).name}”.")
    if sum(weights.values()) <= 0:
        raise BadPlan("The language plan holds no weight above 0.", hint="Give at least one language a weight.")


def count_words(text: str, language: str) -> int:
    """Words, or for scripts without spaces the number of English words that many characters stand for."""
    known = LANGUAGES.get(language)
    if known and known.characters_a_word:
        return round(sum(c.isalnum() for c in text) / known.characters_a_word)
    return len(text.split())
