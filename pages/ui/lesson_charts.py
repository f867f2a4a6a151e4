"""Pictures of the lesson: token chips, cone, ranking, and the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from pages.ui.widgets import plain, visible

PALE, HIGH = "#F4EFE6", "#2F6FC4"
TEXT_SHOWN = 110
NUMBERS_SHOWN = 96


def show_tokens(tokens: Sequence[Mapping[str, Any]]) -> None:
    """Tokens as chips; the special ones are marked, the last is where the vector is read."""
    with st.container(horizontal=True, gap="small", key="learn-chips"):
        for number, token in enumerate(tokens):
            last = number == len(tokens) - 1
            text = plain(visible(str(token["text"])).replace(" ", "␣").replace("\n", "⏎"))
            st.badge(
                text or "␣", color="green" if last else "orange" if token["special"] else "gray", icon=":material/flag:" if last else None
            )


def vector_chart(vector: Sequence[float], shown: int = NUMBERS_SHOWN) -> alt.Chart:
    """The first numbers of a vector as a strip."""
    rows = pd.DataFrame([{"number": i, "value": float(v)} for i, v in enumerate(vector[:shown], start=1)])
    reach = float(rows["value"].abs().max()) or 1.0
    return (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("number:O", axis=None),
            color=alt.Color(
                "value:Q",
                scale=alt.Scale(domain=[-reach, 0, reach], range=["#C8502D", "#D8D8D8", "#2F6FC4"]),
                legend=alt.Legend(title="value", orient="right", gradientLength=60),
            ),
            tooltip=[alt.Tooltip("number:O", title="number"), alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(height=70)
    )


def cone_chart(histograms: Mapping[str, tuple[list[float], list[float]]]) -> alt.FacetChart:
    """Share of pairs at each cosine, one panel a model on one axis."""
    rows = pd.DataFrame(
        [{"Model": m, "cosine": c, "share": s} for m, (middles, shares) in histograms.items() for c, s in zip(middles, shares, strict=True)]
    )
    bars = (
        alt.Chart(rows)
        .mark_bar(width=14)
        .encode(
            x=alt.X("cosine:Q", scale=alt.Scale(domain=[-0.4, 1.0]), title="cosine of two unrelated texts"),
            y=alt.Y("share:Q", axis=alt.Axis(format="%", title="share of pairs", tickCount=3)),
            color=alt.Color("Model:N", legend=None, sort=list(histograms)),
            tooltip=["Model:N", alt.Tooltip("cosine:Q", format=".2f"), alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=90, width=780)
    )
    return bars.facet(
        row=alt.Row("Model:N", sort=list(histograms), title=None, header=alt.Header(labelAngle=0, labelAlign="left", labelOrient="top"))
    )


def ranking_table(ranking: Sequence[Any]) -> pd.DataFrame:
    """Rank, similarity, whose text, the text."""
    signs = {"your answer": "★ your answer", "your near miss": "✕ your near miss", "other": ""}
    return pd.DataFrame([{"Rank": r.rank, "Cosine": r.similarity, "Whose": signs[r.kind], "Text": r.text} for r in ranking])


def batch_chart(values: np.ndarray, documents: Sequence[str], *, title: str, low: float, high: float) -> alt.LayerChart:
    """A matrix (questions, documents) with its numbers; the positives are framed. `low` and `high` end the colours."""
    count = len(values)
    columns = [f"{'+' if j < count else '−'}{j % count + 1}" for j in range(len(documents))]
    rows = pd.DataFrame(
        [
            {
                "question": f"{i + 1}",
                "document": columns[j],
                "value": float(values[i, j]),
                "text": documents[j] if len(documents[j]) <= TEXT_SHOWN else f"{documents[j][:TEXT_SHOWN]} …",
                "positive": i == j,
                "dark": float(values[i, j]) > low + 0.55 * (high - low),
            }
            for i in range(count)
            for j in range(len(documents))
        ]
    )
    base = alt.Chart(rows).encode(
        x=alt.X("document:N", sort=columns, title="document", axis=alt.Axis(labelAngle=0, orient="top", labelFontSize=13)),
        y=alt.Y("question:N", title="question", axis=alt.Axis(labelFontSize=13)),
    )
    scale = alt.Scale(domain=[low, max(high, low + 1e-6)], range=[PALE, HIGH], clamp=True, interpolate="rgb")
    cells = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=scale, legend=None),
        stroke=alt.condition("datum.positive", alt.value("#E08A1E"), alt.value("transparent")),
        strokeWidth=alt.value(3),
        tooltip=["question:N", "document:N", "text:N", alt.Tooltip("value:Q", format=".4f", title=title)],
    )
    numbers = base.mark_text(fontSize=12).encode(
        text=alt.Text("value:Q", format=".2f"), color=alt.condition("datum.dark", alt.value("white"), alt.value("#222"))
    )
    return alt.layer(cells, numbers).properties(height=46 * count + 60, title=title)
