"""What the dataset is made of: bars by group, language and reason."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.domain.filters import TripleFilter
from core.domain.triple import Verdict
from core.workbench import Workbench
from pages.ui.widgets import visible

BARS = 20
BAR_HEIGHT = 20  # pixels
COLOURS = {"accepted": "#2e9e6b", "pending": "#9aa4b2", "rejected": "#d1495b", "disputed": "#e0a030"}


def show_shape(workbench: Workbench) -> None:
    """Two charts by verdict, and why triples were rejected."""
    groups, languages = st.columns(2, gap="large")
    with groups:
        _show_bars(workbench, "group", "Groups")
    with languages:
        _show_bars(workbench, "language", "Languages of the query")
    topics, reasons = st.columns(2, gap="large")
    with topics:
        _show_bars(workbench, "topic", "Topics")
    with reasons:
        st.markdown("##### Why triples were rejected")
        counts = workbench.dataset.counts_by("reason", TripleFilter(verdict=Verdict.REJECTED))
        if counts:
            st.dataframe(
                pd.DataFrame({"reason": [visible(reason) for reason in counts], "triples": list(counts.values())}),
                hide_index=True,
                key="reasons",
            )
        else:
            st.caption("None was rejected yet.")
        st.markdown("##### What the checks found")
        found = workbench.dataset.counts_by("flag_code")
        if found:
            names = [code.replace("_", " ") for code in found]
            st.dataframe(pd.DataFrame({"check": names, "triples": list(found.values())}), hide_index=True, key="checks-found")
        else:
            st.caption("Nothing.")


def _show_bars(workbench: Workbench, column: str, title: str) -> None:
    st.markdown(f"##### {title}")
    totals = workbench.dataset.counts_by(column)
    shown = list(totals)[:BARS]
    rows = [
        {column: visible(name) or "none", "verdict": verdict.value, "triples": count}
        for verdict in Verdict
        for name, count in workbench.dataset.counts_by(column, TripleFilter(verdict=verdict)).items()
        if name in shown
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y(f"{column}:N", sort=[visible(name) or "none" for name in shown], title=None, axis=alt.Axis(labelLimit=180)),
            x=alt.X("triples:Q", title="triples", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "verdict:N", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=alt.Legend(orient="top")
            ),
            tooltip=[f"{column}:N", "verdict:N", "triples:Q"],
        )
        .properties(height=alt.Step(BAR_HEIGHT))
    )
    st.altair_chart(chart, key=f"bars-{column}", alt=f"Triples by {column} and verdict")
    if len(totals) > BARS:
        st.caption(f"The {BARS} most frequent of {len(totals)}.")
