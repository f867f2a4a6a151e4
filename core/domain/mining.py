"""Hard negatives taken from the other documents: by which scores, at which ranks, how near at most."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from core.domain.plans import Plan


class MiningMethod(StrEnum):
    """What ranks the documents."""

    BASELINE = "baseline"
    BM25 = "bm25"


class MiningPlan(Plan):
    """Defaults of F2LLM (top 100 without the first 5, below 0.8 and below 95 % of the positive); SFR takes ranks 30 to 100."""

    source: str = Field("", description="triples of this source only; all where empty")
    method: MiningMethod = MiningMethod.BASELINE
    first_rank: int = Field(6, ge=1, description="the best ones may be answers nobody marked")
    last_rank: int = Field(100, ge=1)
    most_similarity: float = Field(0.8, gt=0, le=1, description="cosine with the query; BM25 scores have no such bound")
    most_of_positive: float = Field(0.95, gt=0, description="share of the positive's score")
    seed: int = 0
    reviewer: str = Field(min_length=1, description="who signs the edits")

    @model_validator(mode="after")
    def _some_rank(self) -> Self:
        if self.last_rank < self.first_rank:
            raise ValueError("last_rank must not be before first_rank")
        return self

    def admits(self, score: float, of_positive: float) -> bool:
        """Whether a document with this score can be a negative. One that scores 0 by words shares none, so it is not hard."""
        if self.method is MiningMethod.BM25:
            return 0 < score < self.most_of_positive * of_positive
        return score < min(self.most_similarity, self.most_of_positive * of_positive)
