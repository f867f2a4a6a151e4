"""The map as an ECharts option: one scatter, or two side by side whose selections are linked in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

SHAPES = {"query": "circle", "positive": "rect", "negative": "triangle", "document": "diamond"}
PALETTE = (
    "#4C78D8",
    "#E4873B",
    "#3FA66B",
    "#C95A8C",
    "#8E6CC9",
    "#2FA5B5",
    "#B59A2B",
    "#D05B5B",
    "#7A8C99",
    "#9C755F",
    "#5B9BD5",
    "#A0A636",
)
OTHER, OTHER_COLOUR = "other", "#9AA0A6"
DIVERGING = ("#C8502D", "#E9A27F", "#B8B8B8", "#86B0DE", "#2F6FC4")
SEQUENTIAL = ("#B9C6D3", "#6FA3CF", "#E0A03A", "#C8502D")
NUMERIC = {"margin": "margin of the first model", "margin2": "margin of the second model", "change": "neighbours that changed"}
COLOURS = {
    "group": "group",
    "kind": "kind",
    "task": "task",
    "language": "language",
    "verdict": "verdict",
    "split": "split",
    "cluster_name": "cluster",
    **NUMERIC,
}
TEXT_SHOWN = 90
MANY = 3000  # points
NEVER = 1_000_000_000  # points
TOP = 44  # pixels above the panes, for titles and tools
LINK_COLOURS = {"positive": "#3FA66B", "negative": "#C8502D"}


@dataclass(frozen=True, slots=True)
class Marked:
    """What is pointed out on the map: rows that match a search, and pairs (query row, document row, kind) to join."""

    matches: Sequence[int] = ()
    links: Sequence[tuple[int, int, str]] = ()


def colour_choices(table: pd.DataFrame) -> list[str]:
    """Columns of this map that have something to colour by."""
    found = []
    for column in COLOURS:
        values = table[column] if column in table else pd.Series(dtype=object)
        if column in NUMERIC:
            if values.notna().any():
                found.append(column)
        elif values.replace("", pd.NA).nunique() > (0 if column == "kind" else 1):
            found.append(column)
    return found or ["kind"]


def map_option(table: pd.DataFrame, colour: str, titles: Sequence[str], marked: Marked, *, height: int) -> dict[str, Any]:
    """Option for `st.echarts_chart`. Series 0 (and 1) hold one item a row of `table`, so that selected indices are rows."""
    frame = _frame(table, colour)
    panes = range(len(titles))
    shown = list(frame.columns)
    legend, room = _colour_map(frame, colour, len(shown) - 1, panes)
    series = [_points(pane, titles[pane], len(frame), shown[-1]) for pane in panes]
    for pane in panes:
        series += _overlay(table, pane, marked)
    return {
        "dataset": {"source": frame},
        "title": [
            {"text": title, "left": f"{_left(pane, len(titles))}%", "top": 0, "textStyle": {"fontSize": 13, "fontWeight": "normal"}}
            for pane, title in enumerate(titles)
        ],
        "grid": [_grid(pane, len(titles), room, height) for pane in panes],
        "xAxis": [_axis(pane) for pane in panes],
        "yAxis": [_axis(pane) for pane in panes],
        "tooltip": {"trigger": "item", "confine": True, "extraCssText": "max-width: 340px; white-space: normal;"},
        "toolbox": {"right": 0, "top": 0, "feature": {"brush": {"type": ["rect", "polygon", "clear"]}, "dataZoom": {}, "restore": {}}},
        "brush": {
            "brushLink": list(panes),
            "seriesIndex": list(panes),
            "xAxisIndex": "all",
            "yAxisIndex": "all",
            "throttleType": "debounce",
            "throttleDelay": 250,
            "outOfBrush": {"colorAlpha": 0.15},
        },
        "visualMap": [_shape_map(frame, shown.index("kind"), panes, room), legend],  # the later one's colours hold
        "series": series,
        "animation": len(frame) <= MANY,
        "hoverLayerThreshold": NEVER,
    }


def _points(pane: int, title: str, count: int, coloured_by: str) -> dict[str, Any]:
    """All points of one pane as one series."""
    x, y = _axes(pane)
    return {
        "type": "scatter",
        "name": title,
        "xAxisIndex": pane,
        "yAxisIndex": pane,
        "encode": {"x": x, "y": y, "tooltip": ["text", "kind", coloured_by]},
        "symbolSize": _symbol_size(count),
        "itemStyle": {"opacity": 0.8},
        "emphasis": {"disabled": count > MANY},  # else every hover paints all points again
        "progressive": 0,  # drawn in one go and on one layer:
        "progressiveThreshold": NEVER,  # in pieces, titles and legends vanish at the first brush
    }


def _frame(table: pd.DataFrame, colour: str) -> pd.DataFrame:
    """What is sent to the browser: coordinates, a short text, the kind, and last what the colour stands for."""
    columns = [c for c in ("x", "y", "x2", "y2") if c in table]
    frame = table[columns].astype("float32").copy()
    frame["text"] = table["text"].str.slice(0, TEXT_SHOWN) + table["text"].str.len().gt(TEXT_SHOWN).map({True: " …", False: ""})
    frame["kind"] = table["kind"].astype(str)
    name = "colour" if colour == "kind" else COLOURS[colour]
    if colour in NUMERIC:
        frame[name] = table[colour].astype("float32").round(4)
    else:
        values = table[colour].astype(str).replace("", "none").str.slice(0, 60)
        common = values.value_counts(sort=True).index[: len(PALETTE)]
        frame[name] = values.where(values.isin(common), OTHER)
    return frame


def _colour_map(frame: pd.DataFrame, colour: str, dimension: int, panes: range) -> tuple[dict[str, Any], int]:
    """The colour legend, and how many pixels it needs below the panes."""
    shared = {"dimension": dimension, "seriesIndex": list(panes), "left": 0, "bottom": 0, "itemWidth": 12, "itemHeight": 12}
    if colour in NUMERIC:
        values = frame.iloc[:, -1].dropna()
        reach = float(values.abs().max() or 1.0) if colour != "change" else 1.0
        low, colours = (0.0, SEQUENTIAL) if colour == "change" else (-reach, DIVERGING)
        bar = {
            "type": "continuous",
            "min": low,
            "max": reach,
            "calculable": True,
            "orient": "horizontal",
            "itemHeight": 160,
            "itemWidth": 12,
        }
        text = [f"{reach:.2f} {NUMERIC[colour]}", f"{low:.2f}"]
        return {**shared, **bar, "text": text, "precision": 2, "inRange": {"color": list(colours)}, "outOfRange": {"colorAlpha": 0.1}}, 46
    names = [n for n in frame.iloc[:, -1].value_counts().index if n != OTHER]
    colours = dict(zip(names, PALETTE, strict=False))
    if (frame.iloc[:, -1] == OTHER).any():
        names.append(OTHER)
        colours[OTHER] = OTHER_COLOUR
    lines = sum(len(n) + 5 for n in names) // 120 + 1
    pieces = {"type": "piecewise", "categories": names, "orient": "horizontal", "itemGap": 12, "inRange": {"color": colours}}
    return {**shared, **pieces, "outOfRange": {"colorAlpha": 0}}, 26 + 20 * lines


def _shape_map(frame: pd.DataFrame, dimension: int, panes: range, room: int) -> dict[str, Any]:
    """Shapes by kind, so that colour is never the only sign."""
    kinds = [k for k in SHAPES if (frame["kind"] == k).any()]
    return {
        "type": "piecewise",
        "dimension": dimension,
        "seriesIndex": list(panes),
        "categories": kinds,
        "inRange": {"symbol": {k: SHAPES[k] for k in kinds}, "color": dict.fromkeys(kinds, OTHER_COLOUR)},
        "outOfRange": {"colorAlpha": 0},
        "orient": "horizontal",
        "right": 0,
        "bottom": room - 24,
        "itemWidth": 11,
        "itemHeight": 11,
    }


def _overlay(table: pd.DataFrame, pane: int, marked: Marked) -> list[dict[str, Any]]:
    """Rings around matches and lines between the texts of a triple."""
    x, y = _axes(pane)
    place = {"xAxisIndex": pane, "yAxisIndex": pane, "silent": True, "z": 5, "animation": False}
    spots = table[[x, y]].to_numpy(dtype=float)
    rings = {
        **place,
        "type": "scatter",
        "id": f"matches-{pane}",
        "data": [[float(spots[i, 0]), float(spots[i, 1])] for i in marked.matches],
        "symbol": "circle",
        "symbolSize": 15,
        "itemStyle": {"color": "transparent", "borderColor": "#D9A400", "borderWidth": 2.5},
    }
    found = [rings]
    for kind, colour in LINK_COLOURS.items():
        lines = [{"coords": [spots[a].tolist(), spots[b].tolist()]} for a, b, k in marked.links if k == kind]
        style = {"color": colour, "width": 1.4, "opacity": 0.8, "type": "solid" if kind == "positive" else "dashed"}
        found.append(
            {**place, "type": "lines", "coordinateSystem": "cartesian2d", "id": f"{kind}-{pane}", "data": lines, "lineStyle": style}
        )
    return found


def _axes(pane: int) -> tuple[str, str]:
    return ("x", "y") if pane == 0 else (f"x{pane + 1}", f"y{pane + 1}")


def _left(pane: int, panes: int) -> float:
    return 1 + pane * 100 / panes


def _grid(pane: int, panes: int, room: int, height: int) -> dict[str, Any]:
    width = 100 / panes - 2
    return {
        "left": f"{_left(pane, panes)}%",
        "width": f"{width}%",
        "top": TOP,
        "height": height - TOP - room - 24,
        "show": True,
        "borderWidth": 1,
    }


def _axis(pane: int) -> dict[str, Any]:
    """Positions on a map have no unit: only who is near whom counts."""
    return {"gridIndex": pane, "type": "value", "scale": True, "show": False}


def _symbol_size(points: int) -> int:
    return 9 if points <= 500 else 7 if points <= MANY else 4
