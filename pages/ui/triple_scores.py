"""Similarities of a triple's documents to its query, computed beside the page so that no card ever waits for a model."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from core.domain.encoder import Role
from core.domain.triple import Texts
from core.errors import WorkbenchError
from core.workbench import Workbench

SCORER = "baseline"
SCORING = "Scoring …"
MOST_KEPT = 2000  # results held for all viewers together


@dataclass
class ScoreKeeper:
    """Results and work in hand, shared by all viewers. Its threads call no Streamlit."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="scores"))
    results: dict[Texts, Future[dict[str, float]]] = field(default_factory=dict)

    def ask(self, workbench: Workbench, texts: Texts) -> Future[dict[str, float]]:
        """The scores of these texts, now or later; trouble is asked again."""
        known = self.results.get(texts)
        if known is None or (known.done() and known.exception()):
            if len(self.results) >= MOST_KEPT:
                self.results.clear()
            known = self.results[texts] = self.pool.submit(similarities, workbench, texts)
        return known


def similarities(workbench: Workbench, texts: Texts) -> dict[str, float]:
    """Cosine of positive and negative with the query, by the baseline encoder."""
    documents = {"positive": texts.positive} | ({"negative": texts.negative} if texts.negative is not None else {})
    query = workbench.service.embed(SCORER, [texts.query], Role.QUERY)
    vectors = workbench.service.embed(SCORER, list(documents.values()), Role.DOCUMENT)
    return {name: float(score) for name, score in zip(documents, vectors @ query[0], strict=True)}


@st.cache_resource(show_spinner=False)
def _keeper(workspace: str) -> ScoreKeeper:
    return ScoreKeeper()


def scores_now(workbench: Workbench, texts: Texts) -> tuple[dict[str, float] | None, str]:
    """Scores that are already known, and what to say where they are not."""
    if not workbench.service.ready():
        return None, "Scores appear when the model service is up."
    work = _keeper(str(workbench.settings.workspace)).ask(workbench, texts)
    if not work.done():
        return None, SCORING
    problem = work.exception()
    if problem is not None:
        return None, f"No scores: {problem.message if isinstance(problem, WorkbenchError) else type(problem).__name__}"
    return work.result(), ""


def score_words(scores: dict[str, float]) -> str:
    """What the two similarities say about the triple."""
    if "negative" not in scores:
        return f"Positive {scores['positive']:.3f} by the baseline encoder (cosine)."
    positive, negative = scores["positive"], scores["negative"]
    if negative > positive:
        verdict = "the negative is nearer to the query than the positive"
    elif negative > 0.95 * positive:
        verdict = "the negative is almost as near as the positive: it may answer too"
    else:
        verdict = "the positive is nearer"
    return f"Margin {positive - negative:+.3f} (cosine, baseline encoder): {verdict}."
