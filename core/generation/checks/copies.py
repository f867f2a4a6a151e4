"""Texts of one triple that repeat one another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from core.domain.checks import Thresholds
from core.domain.groups import TaskGroup
from core.domain.triple import Flag, Triple
from core.generation.checks.words import UNSPACED, fields_of, folded, gram_similarity, tokens

COPIED_WORDS = 8  # so many words in a row are a copy, however long the query is
COPIED_CHARACTERS = 16  # the same where a script has no spaces
FEWEST_WORDS = 3  # a shorter query is a term that any answer has to name
FEWEST_CHARACTERS = 5
HEAD = 1.5  # a copy that begins within so many lengths of the query stands at the head of the document
QUERY_AGAIN = 0.9  # Jaccard of character 5-grams
UNCHANGED = 0.62  # the same of a paraphrase that changed next to nothing
MOST_TOKENS = 1_500  # of each text: the comparison is quadratic where a small model repeats itself
UNSPACED_LETTER = re.compile(rf"[{UNSPACED}]")


def copied_query(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """A document repeats the query word for word, which the prompt forbids and which makes retrieval trivial."""
    if triple.group is TaskGroup.STS:
        share = gram_similarity(triple.texts.query, triple.texts.positive)
        if share >= UNCHANGED:
            yield Flag("copied_query", f"The positive is the query with few words changed ({share:.0%} of its 5-grams).", "positive", 0.5)
    if triple.group not in (TaskGroup.SHORT_LONG, TaskGroup.LONG_LONG):
        return
    query = tokens(triple.texts.query)
    for name, text in fields_of(triple.texts):
        if name != "query" and (run := copied_run(query, tokens(text), thresholds.copied_share)):
            yield Flag("copied_query", f"The {name} copies from the query: “{run}”.", name, 0.6)


def copied_run(query: list[str], document: list[str], share: float) -> str:
    """The run of tokens of the query that a document repeats, where that is a copy; else ""."""
    query, document = query[:MOST_TOKENS], document[:MOST_TOKENS]
    match = SequenceMatcher(None, query, document, autojunk=False).find_longest_match()
    unspaced = sum(UNSPACED_LETTER.match(token) is not None for token in query) > len(query) / 2
    fewest, most = (FEWEST_CHARACTERS, COPIED_CHARACTERS) if unspaced else (FEWEST_WORDS, COPIED_WORDS)
    head = match.b <= HEAD * len(query)
    copied = match.size >= most or (match.size >= max(fewest, share * len(query)) and (head or match.size > 2 * fewest))
    if not copied and head and len(query) >= fewest:  # the words of the query in another order open the document
        copied = sorted(query) == sorted(document[: len(query)])
        match = match._replace(b=0, size=len(query)) if copied else match
    return ("" if unspaced else " ").join(document[match.b : match.b + match.size]) if copied else ""


def near_identical(triple: Triple, thresholds: Thresholds) -> Iterator[Flag]:
    """Two of the texts are nearly the same: then the example teaches nothing, or the wrong thing."""
    texts = triple.texts
    if texts.negative is not None:
        # A wrong translation differs from the right one in a word by design, so only the very same text counts there.
        same = folded(texts.positive) == folded(texts.negative)
        share = gram_similarity(texts.positive, texts.negative)
        if same or (share >= thresholds.near_identical and triple.group is not TaskGroup.BITEXT):
            yield Flag("near_identical", f"Positive and negative share {share:.0%} of their character 5-grams.", "negative", 0.9)
    if (share := gram_similarity(texts.query, texts.positive)) >= QUERY_AGAIN and triple.group is not TaskGroup.BITEXT:
        yield Flag("query_is_positive", f"Query and positive share {share:.0%} of their character 5-grams.", "positive", 0.7)
    if texts.negative is not None and folded(texts.query) == folded(texts.negative):
        yield Flag("query_is_negative", "Query and negative are the same text.", "negative", 0.7)
