"""Checks by the cosines of the baseline encoder. Only a job's process or the model service computes them; the rules themselves are light.

On the tuning half of data/faults and on the starter set the baseline, a small English encoder, gives half of all good short-long triples a
negative as near as the positive: hard negatives are written to look like answers. So `false_negative` and `swapped` weigh little, order
the queue among equals, and never speak alone; `easy_negative` is the one to trust (bench/checks.py prints all of them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.domain.checks import DEFAULT_THRESHOLDS, Nearness, Thresholds
from core.domain.encoder import Role
from core.domain.groups import TaskGroup
from core.domain.triple import Flag, Triple

if TYPE_CHECKING:
    from core.encoder.text_encoder import TextEncoder


def measure_nearness(triples: Sequence[Triple], encoder: TextEncoder) -> list[Nearness]:
    """Cosines of the documents of each triple with its query, in order; every different text is encoded once."""
    queries = list(dict.fromkeys(t.texts.query for t in triples))
    documents = list(dict.fromkeys(d for t in triples for d in (t.texts.positive, t.texts.negative) if d is not None))
    left = dict(zip(queries, encoder.encode(queries, role=Role.QUERY), strict=True)) if queries else {}
    right = dict(zip(documents, encoder.encode(documents, role=Role.DOCUMENT), strict=True)) if documents else {}
    found = []
    for triple in triples:
        query, texts = left[triple.texts.query], triple.texts
        negative = None if texts.negative is None else float(query @ right[texts.negative])
        found.append(Nearness(float(query @ right[texts.positive]), negative))
    return found


def check_nearness(triple: Triple, nearness: Nearness, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Flag]:
    """Flags of one triple by its cosines, of the checks that mean something for its group."""
    return [flag for check in ENCODER_CHECKS if triple.group in MEANT_FOR[check] for flag in check(nearness, thresholds)]


def swapped(nearness: Nearness, thresholds: Thresholds) -> Iterator[Flag]:
    """The negative is clearly nearer to the query than the positive: perhaps the two were exchanged."""
    if nearness.lead is not None and nearness.lead >= thresholds.swapped_margin:
        yield Flag("swapped", f"The negative is nearer to the query than the positive by {nearness.lead:.2f}: {_both(nearness)}.", "", 0.2)


def false_negative(nearness: Nearness, thresholds: Thresholds) -> Iterator[Flag]:
    """The negative is almost as near as the positive: it may answer too (NV-Retriever's threshold is 0.95)."""
    if nearness.ratio is not None and nearness.ratio >= thresholds.false_negative_ratio:
        message = f"The negative has {nearness.ratio:.0%} of the positive's similarity: {_both(nearness)}."
        yield Flag("false_negative", message, "negative", 0.1)


def easy_negative(nearness: Nearness, thresholds: Thresholds) -> Iterator[Flag]:
    """The negative is far off: it teaches nothing that a random document would not."""
    if nearness.ratio is not None and nearness.ratio < thresholds.easy_negative_ratio:
        message = f"The negative has {nearness.ratio:.0%} of the positive's similarity: {_both(nearness)}."
        yield Flag("easy_negative", message, "negative", 0.4)


def positive_far(nearness: Nearness, thresholds: Thresholds) -> Iterator[Flag]:
    """The positive is far from the query: it may not answer."""
    if nearness.positive < thresholds.far_positive:
        yield Flag("positive_far", f"The positive's similarity to the query is {nearness.positive:.2f}.", "positive", 0.2)


ENCODER_CHECKS = (swapped, false_negative, easy_negative, positive_far)
# Labels say little to an encoder; the baseline does not see that a text in another language means the same; the lower-scored text of sts
# shares its words with the query by design.
MEANT_FOR = {
    swapped: (TaskGroup.SHORT_LONG,),
    false_negative: (TaskGroup.SHORT_LONG,),
    easy_negative: (TaskGroup.SHORT_LONG, TaskGroup.STS),
    positive_far: (TaskGroup.SHORT_LONG, TaskGroup.SHORT_SHORT, TaskGroup.LONG_LONG, TaskGroup.STS),
}


def _both(nearness: Nearness) -> str:
    return f"{nearness.negative:.2f} against {nearness.positive:.2f}"
