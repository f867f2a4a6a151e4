"""Texts of one triple that repeat one another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache
from math import ceil

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.languages import LANGUAGES
from core.domain.triple import Flag, Triple
from core.generation.checks.detectors import detector_code
from core.generation.checks.phrase_lists import lines_of
from core.generation.checks.words import UNSPACED, fields_of, folded, similarity_from, tokens

COPIED_WORDS = 8  # so many words in a row are a copy, however long the query is
COPIED_CHARACTERS = 16  # the same where a script has no spaces
FEWEST_WORDS = 3  # a shorter query is a term that any answer has to name
FEWEST_CHARACTERS = 5
OPENING_ALIKE = 0.8  # ratio of matching characters of the query and the head of a document; that of good triples stays below 0.7
LONGEST_REWORDED = 200  # characters of a query: a longer one is no title, and comparing it would cost more than all other checks
OPENING_WORDS = 0.6  # of the words of the query that must stand there before the characters are compared
WORDS_A_SLIP_IN = 3  # one further word may stand among so many of them
HEAD = 1.5  # a copy that begins within so many lengths of the query stands at the head of the document
QUERY_AGAIN = 0.9  # Jaccard of character 5-grams
UNCHANGED = 0.55  # the same of a paraphrase that changed next to nothing
ALIKE_AT_ALL = 0.35  # Jaccard of character 5-grams below which no other likeness is looked for
SAME_IN_ORDER = 0.8  # of the words of both texts
FEWEST_IN_ORDER = 12  # in a shorter text one word makes all the difference
MOST_TOKENS = 1_500  # of each text: the comparison is quadratic where a small model repeats itself
UNSPACED_LETTER = re.compile(rf"[{UNSPACED}]")


def copied_query(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """A document repeats the query word for word, which the prompt forbids and which makes retrieval trivial."""
    if triple.group is TaskGroup.STS:
        share = similarity_from(triple.texts.query, triple.texts.positive, UNCHANGED)
        if share >= UNCHANGED:
            yield Flag("copied_query", f"The positive is the query with few words changed ({share:.0%} of its 5-grams).", "positive", 0.5)
    if triple.group not in (TaskGroup.SHORT_LONG, TaskGroup.LONG_LONG):
        return
    query = tokens(triple.texts.query)
    for name, text in fields_of(triple.texts):
        if name == "query":
            continue
        run = copied_run(query, tokens(text), thresholds.copied_share) if may_copy(query, text, thresholds.copied_share) else ""
        if run := run or reworded_opening(triple.texts.query, text):
            yield Flag("copied_query", f"The {name} copies from the query: “{run}”.", name, 0.6)


def reworded_opening(query: str, document: str) -> str:
    """The first words of a document where they are the query with next to nothing changed; else ""."""
    if len(query) > LONGEST_REWORDED:
        return ""
    asked, words = folded(query), tokens(query)
    opening = folded(document[: 2 * len(query) + 20])[: len(asked) + len(asked) // WORDS_A_SLIP_IN]
    kept = sum(word in opening for word in words)
    if len(words) < (FEWEST_CHARACTERS if _unspaced(words) else FEWEST_WORDS) or kept < OPENING_WORDS * len(words):
        return ""
    for head in (opening[: len(asked)], opening):
        if SequenceMatcher(None, asked, head, autojunk=False).ratio() >= OPENING_ALIKE:
            return head
    return ""


def copied_run(query: Sequence[str], document: Sequence[str], share: float) -> str:
    """The run of tokens of the query that a document repeats, where that is a copy; else ""."""
    query, document = query[:MOST_TOKENS], document[:MOST_TOKENS]
    match = SequenceMatcher(None, query, document, autojunk=False).find_longest_match()
    fewest, most = _run_lengths(query)
    head = match.b <= HEAD * len(query)
    copied = match.size >= most or (match.size >= max(fewest, share * len(query)) and (head or match.size > 2 * fewest))
    if not copied and head and len(query) >= fewest:  # the words of the query open the document: in another order, or as a title
        opening = document[: len(query) + len(query) // WORDS_A_SLIP_IN]
        copied = not Counter(query) - Counter(opening)
        match = match._replace(b=0, size=len(opening)) if copied else match
    return ("" if _unspaced(query) else " ").join(document[match.b : match.b + match.size]) if copied else ""


def may_copy(query: Sequence[str], document: str, share: float) -> bool:
    """False where `copied_run` cannot find a copy; a hundredth of its cost.

    Of a run of n tokens, a whole block of (n + 1) // 2 stands in every place where it is repeated, when the query is cut into such blocks.
    """
    query = query[:MOST_TOKENS]
    fewest, most = _run_lengths(query)
    size = (min(most, max(fewest, ceil(share * len(query)))) + 1) // 2
    flat = folded(document).replace(" ", "")
    blocks = ("".join(query[start : start + size]) for start in range(0, len(query) - size + 1, size))
    return any(block in flat for block in blocks) or _opens_with(query, document)


def _opens_with(query: Sequence[str], document: str) -> bool:
    """Whether every word of the query stands near the head of the document, as far as a look at its first characters tells."""
    opening = folded(document[: 2 * sum(map(len, query)) + 2 * len(query) + 20])
    return all(word in opening for word in query)


def _run_lengths(query: Sequence[str]) -> tuple[int, int]:
    """Fewest tokens in a row that can be a copy, and so many that are always one."""
    return (FEWEST_CHARACTERS, COPIED_CHARACTERS) if _unspaced(query) else (FEWEST_WORDS, COPIED_WORDS)


def _unspaced(query: Sequence[str]) -> bool:
    return sum(UNSPACED_LETTER.match(token) is not None for token in query) > len(query) / 2


def near_identical(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """Two of the texts are nearly the same: then the example teaches nothing, or the wrong thing."""
    texts = triple.texts
    if texts.negative is not None:
        if folded(texts.positive) == folded(texts.negative):
            yield Flag("near_identical", "Positive and negative are the same text.", "negative", 0.9)
        elif triple.group is TaskGroup.BITEXT:  # a wrong translation differs from the right one in a word by design: the word counts
            if changed := light_changes(texts.positive, texts.negative, triple.document_language):
                yield Flag("near_identical", f"Positive and negative differ in words of little meaning only: {changed}.", "negative", 0.7)
        elif words := _sameness(texts.positive, texts.negative, thresholds.near_identical):
            yield Flag("near_identical", f"Positive and negative share {words}.", "negative", 0.9)
    again = 0.0 if triple.group is TaskGroup.BITEXT else similarity_from(texts.query, texts.positive, QUERY_AGAIN)
    if again >= QUERY_AGAIN:
        yield Flag("query_is_positive", f"Query and positive share {again:.0%} of their character 5-grams.", "positive", 0.7)
    if texts.negative is not None and folded(texts.query) == folded(texts.negative):
        yield Flag("query_is_negative", "Query and negative are the same text.", "negative", 0.7)


def _sameness(first: str, second: str, threshold: float) -> str:
    """What two texts share, in words, where that is nearly all of them; "" where it is not."""
    share = similarity_from(first, second, min(threshold, ALIKE_AT_ALL))
    if share >= threshold:
        return f"{share:.0%} of their character 5-grams"
    a, b = tokens(first)[:MOST_TOKENS], tokens(second)[:MOST_TOKENS]
    if share < ALIKE_AT_ALL or min(len(a), len(b)) < FEWEST_IN_ORDER:
        return ""
    # Long words exchanged for others cost many 5-grams and few words.
    in_order = SequenceMatcher(None, a, b, autojunk=False).ratio()
    return f"{in_order:.0%} of their words in the same order" if in_order >= SAME_IN_ORDER else ""


def light_changes(first: str, second: str, language: str) -> str:
    """The words in which two texts differ, where all of them are articles, particles and the like; "" where one of them is not."""
    light = _light_words().get(detector_code(LANGUAGES[language]), frozenset()) if language in LANGUAGES else frozenset()
    if not light or not similarity_from(first, second, ALIKE_AT_ALL):
        return ""
    a, b = tokens(first)[:MOST_TOKENS], tokens(second)[:MOST_TOKENS]
    steps = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    changed = [word for step, i, j, k, n in steps if step != "equal" for word in (*a[i:j], *b[k:n])]
    return ", ".join(dict.fromkeys(changed)) if light.issuperset(changed) else ""


@cache
def _light_words() -> dict[str, frozenset[str]]:
    """Code of a language -> its light words, as `tokens` gives them."""
    lines = (line.partition(":") for line in lines_of("light_words"))
    return {code: frozenset(tokens(words)) for code, _, words in lines}
