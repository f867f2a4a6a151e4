"""What the checks that need no person measure, and from which value on each speaks of a fault. A workspace keeps its own values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from core.domain.plans import Plan


class Thresholds(Plan):
    """From where on a check flags. The defaults were chosen on one half of data/faults and measured on the other (bench/checks.py)."""

    shortest_share: float = Field(0.8, ge=0, le=1, description="of the asked length; a text below it is too short")
    near_identical: float = Field(0.55, ge=0, le=1, description="Jaccard of character 5-grams of positive and negative")
    copied_share: float = Field(0.8, ge=0.5, le=1, description="share of the query that a document repeats in one run")
    repetitive: float = Field(0.5, ge=0, le=1, description="share of different word 3-grams; a text below it goes in circles")
    near_duplicate: float = Field(0.8, ge=0.5, le=1, description="Jaccard of character 5-grams of two triples' texts")
    false_negative_ratio: float = Field(0.95, ge=0, le=2, description="negative's cosine over the positive's (NV-Retriever)")
    swapped_margin: float = Field(0.1, ge=0, le=1, description="by how much the negative's cosine passes the positive's")
    easy_negative_ratio: float = Field(0.2, ge=-1, le=1, description="negative's cosine over the positive's; below it is too easy")
    far_positive: float = Field(0.15, ge=-1, le=1, description="positive's cosine with the query; below it does not answer")


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Nearness:
    """Cosines of a triple's documents with its query, by the baseline encoder."""

    positive: float
    negative: float | None = None

    @property
    def ratio(self) -> float | None:
        """The negative's cosine over the positive's; None without a negative or where the positive is not near at all."""
        return None if self.negative is None or self.positive <= 0 else self.negative / self.positive

    @property
    def lead(self) -> float | None:
        """By how much the negative is nearer than the positive; below 0 where it is farther."""
        return None if self.negative is None else self.negative - self.positive


class CheckPlan(Plan):
    """Check every triple of the workspace again, look for near duplicates, and score with the baseline encoder."""

    thresholds: Thresholds = DEFAULT_THRESHOLDS
    encoder: bool = True


SCORES = {  # name -> what it is, which threshold reads it, and on which side of the threshold it speaks of a fault
    "length": ("found length over the asked length", "shortest_share", "below"),
    "identical": ("5-grams that positive and negative share", "near_identical", "above"),
    "duplicate": ("5-grams shared with the nearest other triple", "near_duplicate", "above"),
    "ratio": ("negative's cosine over the positive's: the negative may answer too", "false_negative_ratio", "above"),
    "easy": ("negative's cosine over the positive's: the negative may be too easy", "easy_negative_ratio", "below"),
    "lead": ("negative's cosine less the positive's: they may be exchanged", "swapped_margin", "above"),
    "positive": ("positive's cosine with the query: it may not answer", "far_positive", "below"),
}


def beyond(values: Iterable[float], threshold: float, side: str) -> int:
    """How many scores a threshold would flag."""
    return sum(value < threshold if side == "below" else value >= threshold for value in values)
