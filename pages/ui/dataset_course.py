"""Languages against the plan, and whether accepted triples keep bringing something new."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from core.domain.filters import TripleFilter
from core.domain.jobs import JobKind
from core.domain.languages import paper_weights
from core.domain.triple import Verdict
from core.review.diversity import SAMPLE, DiversityWindow
from core.workbench import Workbench
from pages.ui.session import open_workbench
from pages.ui.widgets import show_empty_state, visible

PLANS_OFFERED = 10
SHOWN = 15
CHART_HEIGHT = 170  # pixels


def show_course(workbench: Workbench) -> None:
    """Two halves: languages, diversity."""
    st.divider()
    languages, course = st.columns(2, gap="large")
    with languages:
        _show_languages(workbench)
    with course:
        _show_diversity(workbench)


def language_table(planned: dict[str, float], found: dict[str, int]) -> pd.DataFrame:
    """Share of each language in plan and data in percent, the widest differences first; planned ones that nobody wrote too."""
    total, weights = sum(found.values()) or 1, sum(planned.values()) or 1
    rows = [
        {
            "language": visible(name),
            "plan, %": 100 * planned.get(name, 0.0) / weights,
            "actual, %": 100 * found.get(name, 0) / total,
            "difference, points": 100 * (found.get(name, 0) / total - planned.get(name, 0.0) / weights),
            "triples": found.get(name, 0),
        }
        for name in dict.fromkeys([*planned, *found])
    ]
    return pd.DataFrame(sorted(rows, key=lambda row: (-abs(float(row["difference, points"])), str(row["language"]))))


def _show_languages(workbench: Workbench) -> None:
    st.markdown("##### Languages, plan against actual")
    plans = {job.id: job for job in workbench.jobs.find(JobKind.GENERATE, limit=PLANS_OFFERED) if job.plan.get("languages")}
    left, right = st.columns(2)
    plan = left.selectbox(
        "Plan", [*plans, ""], key="language-plan",
        format_func=lambda i: f"{plans[i].title}, {plans[i].created_at[:16].replace('T', ' ')} UTC" if i else "the paper's weights",
    )  # fmt: skip
    verdicts = [v.value for v in (Verdict.ACCEPTED, Verdict.PENDING, Verdict.REJECTED)]
    verdict = right.selectbox("Triples", verdicts, index=None, key="language-verdict", placeholder="all triples")
    found = workbench.dataset.counts_by("language", TripleFilter(verdict=Verdict(verdict) if verdict else None))
    if not found:
        show_empty_state("No triple has this verdict.")
        return
    planned = plans[plan].plan["languages"] if plan else paper_weights()
    table = language_table(planned, found)
    places = {name: st.column_config.NumberColumn(format="%.1f") for name in table.columns if "," in name}
    st.dataframe(table, hide_index=True, key="language-table", column_config=places, height=38 + 35 * min(SHOWN, len(table)))
    off = table["difference, points"].abs().sum() / 2
    st.caption(f"{off:.1f} % of the triples would have to be in another language to meet the plan; n = {sum(found.values()):,}.")


def _show_diversity(workbench: Workbench) -> None:
    st.markdown("##### Diversity of what was accepted, over time")
    windows = _diversity(str(workbench.settings.workspace), workbench.dataset.newest_decision())
    if not windows:
        show_empty_state("Nothing is accepted yet.")
        return
    rows = pd.DataFrame(
        {
            "accepted": w.accepted,
            "day (UTC)": w.day,
            "triples in the window": w.count,
            "tasks in the window": w.tasks,
            "tasks so far": w.all_tasks,
            "near duplicates, %": 100 * w.near_duplicates / w.count,
            "mean distance": w.mean_distance,
        }
        for w in windows
    )
    for column, title in (
        ("tasks so far", "different tasks so far"),
        ("near duplicates, %", "near duplicates of earlier triples, %"),
        ("mean distance", "mean distance of two triples (1 - shared words)"),
    ):
        chart = (
            alt.Chart(rows)
            .mark_line(point=True)
            .encode(
                x=alt.X("accepted:Q", title="triples accepted"),
                y=alt.Y(f"{column}:Q", title=None, scale=alt.Scale(zero=column != "mean distance")),
                tooltip=list(rows.columns),
            )
            .properties(height=CHART_HEIGHT, title=title)
        )
        st.altair_chart(chart, key=f"course-{column}", alt=title)
    last = windows[-1]
    st.caption(
        f"Windows of {windows[0].count:,} triples in the order they were accepted, n = {last.accepted:,}; distances of {SAMPLE} triples of "
        "each. Near duplicates are those of the last check."
    )


@st.cache_data(show_spinner=False, ttl=60, max_entries=4)
def _diversity(workspace: str, newest_entry: int) -> list[DiversityWindow]:
    # Both arguments are there to be hashed: what was accepted changes with the log only.
    workbench = open_workbench()
    return workbench.dataset.diversity(workbench.checks.near_duplicates())
