"""Texts of chosen lengths, cut from the shipped ones: real words, no two texts alike, the same ones for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache

from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.settings import PROJECT_FOLDER
from core.shipped.records import read_starter

LONGEST_WORD = 9  # characters a word on average; above it a text does not put spaces between words
PAPER_SHARES = {  # thousands of examples, figure 2 of Wang et al. 2024
    TaskGroup.SHORT_LONG: 167,
    TaskGroup.LONG_SHORT: 122,
    TaskGroup.SHORT_SHORT: 13,
    TaskGroup.LONG_LONG: 17,
    TaskGroup.STS: 99,
    TaskGroup.BITEXT: 89,
}
# Words of (query, document) by the slots of tables 8 to 13: documents of 50 to 500 words, inputs of up to 200 with a label, and so on.
LENGTHS: dict[TaskGroup, tuple[tuple[int, int], ...]] = {
    TaskGroup.SHORT_LONG: tuple((query, document) for query in (4, 10, 14) for document in (50, 100, 200, 300, 400, 500)),
    TaskGroup.LONG_SHORT: tuple((words, 3) for words in (8, 10, 50, 100, 200)),
    TaskGroup.SHORT_SHORT: ((6, 8),),
    TaskGroup.LONG_LONG: ((300, 300),),
    TaskGroup.STS: ((5, 5), (16, 16), (80, 80)),
    TaskGroup.BITEXT: ((5, 5), (16, 16), (80, 80)),
}
PASSAGE_WORDS = (20, 40, 50, 60, 80, 120, 200)  # of a corpus of passages: about 80 in the middle, a few long ones


def passages(count: int, *, seed: int = 0) -> list[str]:
    """Documents of the held-out corpus, cut anew."""
    path = PROJECT_FOLDER / "data" / "heldout" / "corpus.jsonl"
    rows = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    words, draw = _stream(rows, seed), random.Random(seed)
    return [_take(words, draw.choice(PASSAGE_WORDS)) for _ in range(count)]


def triples(count: int, *, seed: int = 0) -> list[Example]:
    """Triples with the paper's mix of groups and lengths; each query is made of words of its positive, so that there is something to learn.

    All have a negative of the positive's length (the paper's short-short and long-long have none): a peer's table has no empty cells.
    """
    records, _ = read_starter(PROJECT_FOLDER / "data" / "starter")
    tasks = [record.triple.task for record in records]
    words, draw = _stream([record.triple.texts.positive for record in records], seed), random.Random(seed)
    groups = draw.choices(list(PAPER_SHARES), weights=list(PAPER_SHARES.values()), k=count)
    return [_triple(number, group, draw.choice(tasks), words, draw) for number, group in enumerate(groups)]


def _triple(number: int, group: TaskGroup, task: str, words: Iterator[str], draw: random.Random) -> Example:
    query_words, document_words = draw.choice(LENGTHS[group])
    positive, negative = _take(words, document_words), _take(words, document_words)
    known = positive.split()
    query = " ".join(draw.choices(known, k=query_words) if query_words > len(known) else draw.sample(known, query_words))
    texts = Texts(f"{query} {number}", f"{number} {positive}", f"{number} {negative} not")
    return Example(f"bench{number}", group, task, texts, "English", None, Split.TRAIN)


def _stream(rows: list[str], seed: int) -> Iterator[str]:
    """Words of the rows in a drawn order, again and again in another one."""
    draw = random.Random(f"words {seed}")
    spaced = _spaced(tuple(rows))
    while True:
        for row in draw.sample(spaced, len(spaced)):
            yield from row.split()


@cache
def _spaced(rows: tuple[str, ...]) -> list[str]:
    return [row for row in rows if len(row) < LONGEST_WORD * len(row.split())]


def _take(words: Iterator[str], count: int) -> str:
    return " ".join(next(words) for _ in range(count))
