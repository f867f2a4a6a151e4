"""Curves and tables of training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

BLUE, GREY = "#4C8BF5", "#8A8F98"  # readable on white and on black
HEIGHT = 190
CURVES = {  # field -> title with unit, number format
    "loss": ("Loss (nats)", ".2f"),
    "accuracy": ("In-batch accuracy (share of queries)", ".0%"),
    "gradient_norm": ("Gradient norm, before clipping", ".2f"),
    "learning_rate": ("Learning rate", ".1e"),
}
PROBE_CURVE = {"mrr": ("Probes: mean reciprocal rank", ".2f")}
ADAPTER_NORM = "Norm of the LoRA B matrices, 0 at the start"
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]  # runs differ by dash as well as by colour
Event = Mapping[str, Any]


def step_table(events: Sequence[Event]) -> pd.DataFrame:
    """One row a step; a step done again after a kill counts once, as it was done last."""
    rows = pd.DataFrame([dict(e) for e in events if e["kind"] == "step"])
    return rows.drop_duplicates("step", keep="last").sort_values("step") if len(rows) else rows


def curve(rows: pd.DataFrame, field: str) -> alt.LayerChart:
    """One measure over the steps; the loss with the line where a model that knows nothing stands."""
    title, number = CURVES[field]
    x = alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, format="d"), scale=alt.Scale(nice=False))
    y = alt.Y(f"{field}:Q", title=None, axis=alt.Axis(format=number), scale=alt.Scale(zero=field != "learning_rate"))
    tooltip = [alt.Tooltip("step:Q"), alt.Tooltip(f"{field}:Q", format=number, title=title)]
    layers = [alt.Chart(rows).mark_line(color=BLUE, point=len(rows) < 40).encode(x=x, y=y, tooltip=tooltip)]
    if field == "loss":
        chance = alt.Chart(rows).encode(x=x, y=alt.Y("chance_loss:Q"))
        known = [alt.Tooltip("chance_loss:Q", format=".3f", title="chance")]
        layers.append(chance.mark_line(color=GREY, strokeDash=[4, 4]).encode(tooltip=known))
    return alt.layer(*layers).properties(height=HEIGHT, title=alt.TitleParams(title, fontSize=13, anchor="start"))


def overlay(tables: Mapping[str, pd.DataFrame], field: str) -> alt.Chart:
    """The same measure of several runs, each by its short name."""
    title, number = {**CURVES, **PROBE_CURVE}[field]
    rows = pd.concat([table.assign(run=name) for name, table in tables.items()])
    legend = alt.Legend(orient="bottom", title=None, symbolType="stroke", symbolSize=400)
    return (
        alt.Chart(rows)
        .mark_line(point=len(rows) < 160)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y(f"{field}:Q", title=None, axis=alt.Axis(format=number)),
            color=alt.Color("run:N", legend=legend),
            strokeDash=alt.StrokeDash("run:N", scale=alt.Scale(range=DASHES), legend=legend),
            tooltip=["run:N", "step:Q", alt.Tooltip(f"{field}:Q", format=number)],
        )
        .properties(height=HEIGHT + 90, title=alt.TitleParams(title, fontSize=13, anchor="start"))
    )


KIND_MARKS = {  # told by a sign, never by colour alone
    "positive": "+",
    "hard negative": "−",
    "in the batch": "",
    "left out": "×",
    "left out by the margin": "m",
}


def similarity_table(event: Event) -> pd.DataFrame:
    """One row a cell of the batch's similarity matrix, for `similarity_chart`."""
    rows = [
        {
            "query": row + 1,
            "document": column + 1,
            "cosine": cosine,
            "kind": event["kinds"][row][column],
            "mark": KIND_MARKS[event["kinds"][row][column]],
            "query_text": event["queries"][row],
            "document_text": event["documents"][column],
        }
        for row, cosines in enumerate(event["cosines"])
        for column, cosine in enumerate(cosines)
    ]
    return pd.DataFrame(rows)


def similarity_chart(event: Event) -> alt.LayerChart:
    """Queries down, documents across, cosine as brightness, and a sign for what the document is to the query."""
    base = alt.Chart(similarity_table(event)).encode(
        x=alt.X("document:O", title="document", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("query:O", title="query"),
        tooltip=[
            alt.Tooltip("query_text:N", title="query"),
            alt.Tooltip("document_text:N", title="document"),
            alt.Tooltip("cosine:Q", format=".3f"),
            alt.Tooltip("kind:N", title="to this query"),
        ],
    )
    cells = base.mark_rect().encode(color=alt.Color("cosine:Q", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(format=".2f")))
    signs = base.mark_text(fontSize=12, fontWeight="bold", stroke="black", strokeWidth=0.3, color="white").encode(text="mark:N")
    return alt.layer(cells, signs).properties(height=max(160, 20 * len(event["queries"])))


def probe_table(events: Sequence[Event]) -> pd.DataFrame:
    """One row a probe query: its text and the rank of its positive at each look, 1 = first."""
    looks = {e["step"]: e for e in events if e["kind"] == "probe"}
    if not looks:
        return pd.DataFrame()
    newest = looks[max(looks)]
    table = pd.DataFrame({"Query": [text.replace("\n", " ") for text in newest["queries"]]})
    for step in sorted(looks):
        table[f"step {step}"] = looks[step]["ranks"]
    return table


def probe_curve(events: Sequence[Event]) -> pd.DataFrame:
    """One row a look at the probe queries, if there are any: the step, their mean reciprocal rank, and how many they are."""
    looks = {e["step"]: e for e in events if e["kind"] == "probe" and e["mean_reciprocal_rank"] is not None}
    rows = [{"step": step, "mrr": look["mean_reciprocal_rank"], "queries": len(look["queries"])} for step, look in sorted(looks.items())]
    return pd.DataFrame(rows, columns=["step", "mrr", "queries"])


def probe_chart(events: Sequence[Event]) -> alt.Chart:
    """Mean reciprocal rank of the probe queries over the steps."""
    return (
        alt.Chart(probe_curve(events))
        .mark_line(color=BLUE, point=True)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("mrr:Q", title=None, scale=alt.Scale(domain=[0, 1])),
            tooltip=["step:Q", alt.Tooltip("mrr:Q", format=".3f", title="mean reciprocal rank")],
        )
        .properties(height=HEIGHT, title=alt.TitleParams("Probes: mean recipr. rank", fontSize=13, anchor="start"))
    )


def plan_differences(plans: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a field in which the plans differ, one column a run."""
    fields = list(dict.fromkeys(field for plan in plans.values() for field in plan))
    rows = [
        {"Field": field} | {name: _shown(plan.get(field)) for name, plan in plans.items()}
        for field in fields
        if len({_shown(plan.get(field)) for plan in plans.values()}) > 1
    ]
    return pd.DataFrame(rows)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
