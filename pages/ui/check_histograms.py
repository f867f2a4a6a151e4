"""Scores of the checks as histograms with their thresholds: move one, see how many triples it would flag, keep it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from core.domain.checks import DEFAULT_THRESHOLDS, SCORES, Thresholds, beyond
from core.domain.jobs import Job, JobKind
from pages.ui.generation_charts import attempt, show_attempts
from pages.ui.job_watch import show_job
from pages.ui.session import open_workbench
from pages.ui.widgets import page_file, plain, show_empty_state

BINS = 40
FLAGGED, KEPT = "#d1495b", "#9aa5b1"


def show_checks() -> None:
    """The section: one histogram, its threshold, and a button that checks everything again."""
    show_attempts()
    workbench = open_workbench()
    jobs = workbench.jobs.find(JobKind.CHECK, limit=1)
    if jobs:
        show_job(jobs[0], key="check-job", show_result=_show_result)
    _, right = st.columns([4, 1.4], vertical_alignment="center")
    right.button("Check all triples", key="start-checks", icon=":material/fact_check:", on_click=attempt, args=(workbench.checks.start,),
                 width="stretch", help="Every check, near duplicates and the baseline encoder's scores; runs as a job")  # fmt: skip
    scores = workbench.checks.scores()
    if not any(scores.values()):
        show_empty_state("No scores yet. Check all triples to see how they are distributed and to choose thresholds.")
        return
    name = st.selectbox("Score", [name for name in SCORES if scores[name]], key="check-score", format_func=_described)
    _show_score(name, scores[name], workbench.checks.thresholds())


def _described(name: str) -> str:
    """What people call a score."""
    return f"{name}: {SCORES[name][0]}"


def _show_score(name: str, values: Sequence[float], thresholds: Thresholds) -> None:
    _, threshold, side = SCORES[name]
    bounds = [getattr(rule, kind) for kind in ("ge", "le") for rule in Thresholds.model_fields[threshold].metadata if hasattr(rule, kind)]
    value = st.slider(threshold.replace("_", " "), float(bounds[0]), float(bounds[1]), float(getattr(thresholds, threshold)), 0.01,
                      key=f"threshold-{threshold}", help=Thresholds.model_fields[threshold].description)  # fmt: skip
    count = beyond(values, value, side)
    st.caption(f"{count:,} of {len(values):,} triples with this score ({count / len(values):.1%}) lie {side} {value:.2f} and would be "
               f"flagged. The default is {getattr(DEFAULT_THRESHOLDS, threshold):.2f}.")  # fmt: skip
    st.altair_chart(histogram(values, value, side), key=f"histogram-{name}", alt=f"Histogram of {SCORES[name][0]} with its threshold")
    changed = value != getattr(thresholds, threshold)
    st.button("Keep this threshold", key="keep-threshold", icon=":material/save:", disabled=not changed, on_click=attempt,
              args=(_keep, thresholds, threshold, value),
              help="Used for new triples at once; check all triples to apply it to the others")  # fmt: skip


def _keep(thresholds: Thresholds, name: str, value: float) -> None:
    open_workbench().checks.set_thresholds(thresholds.model_copy(update={name: value}))


def _show_result(job: Job) -> None:
    result = job.result
    flags = ", ".join(f"{plain(code)} {count:,}" for code, count in result.get("flags", {}).items()) or "none"
    st.markdown(f"**{result.get('checked', 0):,} triples checked** in {result.get('seconds', 0):.0f} s: {flags}.")
    st.page_link(page_file("review"), label="Review them, most suspicious first", icon=":material/arrow_forward:")


def histogram(values: Sequence[float], threshold: float, side: str) -> alt.LayerChart:
    """Counts of a score with the threshold as a line; what would be flagged has its own colour and word."""
    low, high = min(*values, threshold, 0.0), max(*values, threshold, 1.0)
    width = (high - low) / BINS or 1.0
    counts: dict[tuple[int, str], int] = {}
    for value in values:
        flagged = value < threshold if side == "below" else value >= threshold
        place = (min(BINS - 1, int((value - low) / width)), "flagged" if flagged else "kept")
        counts[place] = counts.get(place, 0) + 1
    rows = [{"from": low + i * width, "to": low + (i + 1) * width, "triples": n, "would be": word} for (i, word), n in counts.items()]
    scale = alt.Scale(domain=["flagged", "kept"], range=[FLAGGED, KEPT])
    bars = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", title="score", scale=alt.Scale(domain=[low, high])),
            x2="to:Q",
            y=alt.Y("triples:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            color=alt.Color("would be:N", scale=scale, title="would be", legend=alt.Legend(orient="top")),
            tooltip=[alt.Tooltip("from:Q", format=".2f"), alt.Tooltip("to:Q", format=".2f"), "triples", "would be"],
        )
    )
    line = alt.Chart(pd.DataFrame({"threshold": [threshold]})).mark_rule(strokeDash=[6, 3], size=2).encode(x="threshold:Q")
    return alt.layer(bars, line).properties(height=220)
