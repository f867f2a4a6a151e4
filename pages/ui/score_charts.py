"""Charts and tables of an evaluation: scores with intervals, comparisons, breakdowns."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from core.domain.report import METRIC_NAMES

ROW_HEIGHT = 40
BLUE = "#4C8BF5"
GREY = "#8A8F98"  # readable on white and on black

Report = dict[str, Any]


def label_of(report: Report, system: str) -> str:
    """What people call a system."""
    return str(report["systems"][system]["label"])


def score_table(report: Report) -> pd.DataFrame:
    """One row a system: each metric as `mean (low to high)`, and the number of queries."""
    return pd.DataFrame(
        [
            {"System": facts["label"]}
            | {name: _with_interval(facts[m]) for m, name in METRIC_NAMES.items()}
            | {"Queries": facts["ndcg_at_10"]["queries"]}
            for facts in report["systems"].values()
        ]
    )


def interval_chart(report: Report, metric: str) -> alt.LayerChart:
    """Mean and 95 % interval of each system on an axis from 0 to 1."""
    rows = pd.DataFrame([{"System": facts["label"], **facts[metric]} for facts in report["systems"].values()])
    return _intervals(rows, x_title=f"{METRIC_NAMES[metric]}, mean and 95 % interval", domain=(0.0, 1.0))


def difference_chart(report: Report, metric: str) -> alt.LayerChart:
    """Difference of each pair with its 95 % interval around 0."""
    rows = pd.DataFrame(
        [
            {
                "System": f"{label_of(report, c['system'])} − {label_of(report, c['against'])}",
                "mean": c["difference"],
                "low": c["low"],
                "high": c["high"],
            }
            for c in report["comparisons"]
            if c["metric"] == metric
        ]
    )
    reach = max(0.05, float(rows[["low", "high"]].abs().to_numpy().max()) * 1.05)
    return _intervals(rows, x_title=f"Difference in {METRIC_NAMES[metric]}, mean and 95 % interval", domain=(-reach, reach), zero=True)


def breakdown_chart(report: Report, key: str, metric: str) -> alt.LayerChart:
    """Each group or language with its n, each system a point with its interval; systems differ by colour and by shape."""
    rows = pd.DataFrame(
        [
            {"Part": f"{part['name']} (n = {part['queries']})", "System": label_of(report, s), **part["systems"][s][metric]}
            for part in report[key]
            for s in report["systems"]
        ]
    )
    order, systems = list(dict.fromkeys(rows["Part"])), list(dict.fromkeys(rows["System"]))
    y = alt.Y("Part:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))
    base = alt.Chart(rows).encode(
        y=y,
        yOffset=alt.YOffset("System:N", sort=systems),
        color=alt.Color("System:N", sort=systems, legend=alt.Legend(orient="top", title=None)),
    )
    line = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), title=f"{METRIC_NAMES[metric]}, mean and 95 % interval"), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="mean:Q", shape=alt.Shape("System:N", sort=systems, legend=alt.Legend(orient="top", title=None)), tooltip=_tooltip()
    )
    return alt.layer(line, point).properties(height=24 * len(rows) + 120)


def comparison_table(report: Report, metric: str) -> pd.DataFrame:
    """One row a pair: difference, interval, p before and after correction, better / same / worse."""
    return pd.DataFrame(
        [
            {
                "System": label_of(report, c["system"]),
                "Against": label_of(report, c["against"]),
                "Difference": round(c["difference"], 4),
                "95 % interval": f"{c['low']:+.3f} to {c['high']:+.3f}",
                "p": c["p_value"],
                "p (Holm)": c["p_adjusted"],
                "Better": c["wins"],
                "Same": c["ties"],
                "Worse": c["losses"],
            }
            for c in report["comparisons"]
            if c["metric"] == metric
        ]
    )


def breakdown_table(report: Report, key: str, metric: str) -> pd.DataFrame:
    """One row a group, language or task: n, then each system's mean with its interval."""
    return pd.DataFrame(
        [
            {key.removeprefix("by_").capitalize(): part["name"], "Queries": part["queries"]}
            | {label_of(report, s): _with_interval(part["systems"][s][metric]) for s in report["systems"]}
            for part in report[key]
        ]
    )


def geometry_table(report: Report) -> pd.DataFrame:
    """Alignment, uniformity and anisotropy of each system that has vectors."""
    return pd.DataFrame(
        [
            {
                "System": facts["label"],
                "Alignment": round(facts["geometry"]["alignment"], 3),
                "Uniformity": round(facts["geometry"]["uniformity"], 3),
                "Anisotropy": round(facts["geometry"]["anisotropy"], 3),
                "Random pairs": facts["geometry"]["pairs"],
            }
            for facts in report["systems"].values()
            if facts["geometry"]
        ]
    )


def _with_interval(score: dict[str, Any]) -> str:
    return f"{score['mean']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def _intervals(rows: pd.DataFrame, *, x_title: str, domain: tuple[float, float], zero: bool = False) -> alt.LayerChart:
    y = alt.Y("System:N", sort=list(rows["System"]), title=None, axis=alt.Axis(labelLimit=460))
    base = alt.Chart(rows).encode(y=y)
    line = base.mark_rule(strokeWidth=4, opacity=0.6, color=BLUE).encode(
        x=alt.X("low:Q", scale=alt.Scale(domain=list(domain)), title=x_title), x2="high:Q"
    )
    point = base.mark_point(filled=True, size=110, opacity=1, color=BLUE).encode(x="mean:Q", tooltip=_tooltip())
    text = base.mark_text(dy=-12, fontSize=12, color=GREY).encode(x="mean:Q", text=alt.Text("mean:Q", format=".3f"))
    middle = [alt.Chart(rows).mark_rule(strokeDash=[4, 4], color=GREY).encode(x=alt.datum(0))] if zero else []
    return alt.layer(line, point, text, *middle).properties(height=_height(len(rows)))


def _height(rows: int) -> int:
    return ROW_HEIGHT * rows + 60


def _tooltip() -> list[alt.Tooltip]:
    found = [alt.Tooltip("System:N")]
    for field, title in (("mean", "mean"), ("low", "low (95 %)"), ("high", "high (95 %)")):
        found.append(alt.Tooltip(f"{field}:Q", format=".3f", title=title))
    return found
