"""What was selected on the map, what stands out, and the decisions one can take about it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.domain.review import Action, RejectReason
from core.workbench import Workbench
from pages.ui.map_chart import NUMERIC
from pages.ui.problems import problems_shown
from pages.ui.session import reviewer
from pages.ui.widgets import plain, show_empty_state, show_text

MOST_ROWS = 2000
OUTLIERS = 50
SHOWN = ["kind", "text", "group", "task", "language", "verdict", "margin", "margin2", "change", "cluster_name"]


def show_tables(workbench: Workbench, table: pd.DataFrame, rows: list[int], word: str, labels: list[str]) -> None:
    """Selection, outliers and clusters."""
    chosen, outliers, clusters = st.tabs([f"Selection ({len(rows):,})", "Outliers", "Clusters"], key="explore-tabs")
    with chosen:
        if rows:
            st.caption(f"{len(rows):,} points {word}, {table.loc[rows, 'owner'].nunique():,} different triples or documents.")
            _show_rows(workbench, table, table.loc[rows[:MOST_ROWS]], "selected", labels)
        else:
            show_empty_state("Nothing is selected. Draw a box or a lasso on the map, or search in the texts.")
    with outliers:
        show_outliers(workbench, table, labels)
    with clusters:
        sizes = table.groupby("cluster_name", sort=False).agg(points=("id", "size"), triples=("owner", "nunique")).reset_index()
        order = sizes.sort_values("points", ascending=False)
        st.dataframe(order.rename(columns={"cluster_name": "cluster"}), key="explore-clusters", hide_index=True, width="stretch")
        st.caption("Dense regions of the map by HDBSCAN, named by their most distinctive terms (class-based TF-IDF).")


def show_outliers(workbench: Workbench, table: pd.DataFrame, labels: list[str]) -> None:
    """Points that stand out: least margin, most changed neighbours."""
    kinds = {
        c: f"{'Most' if c == 'change' else 'Smallest'} {_column_name(c, labels)}" for c in NUMERIC if c in table and table[c].notna().any()
    }
    if not kinds:
        show_empty_state("This map has one model and no hard negatives, so there is nothing to compare.")
        return
    by = st.segmented_control(
        "Order by", list(kinds), format_func=kinds.__getitem__, default=next(iter(kinds)), required=True, key="explore-outlier-order"
    )
    one_each = table if by == "change" else table[table["kind"] == "query"]
    top = one_each.dropna(subset=[by]).sort_values([by, "id"], ascending=[by != "change", True]).head(OUTLIERS)
    _show_rows(workbench, table, top, "outliers", labels)


def _column_name(column: str, labels: list[str]) -> str:
    names = {
        "margin": f"margin · {labels[0]}",
        "margin2": f"margin · {labels[-1]}",
        "change": "neighbours changed",
        "cluster_name": "cluster",
    }
    return names.get(column, column)


def _show_rows(workbench: Workbench, table: pd.DataFrame, part: pd.DataFrame, key: str, labels: list[str]) -> None:
    """A table of points whose ticked rows (all where none is ticked) can be decided."""
    columns = [c for c in SHOWN if c in part and not part[c].isna().all() and (part[c] != "").any()]
    shown = part[columns].rename(columns=lambda c: _column_name(c, labels))
    formats = {_column_name(c, labels): st.column_config.NumberColumn(format="%.3f") for c in NUMERIC}
    formats["text"] = st.column_config.TextColumn(width="large")
    ticked = st.dataframe(
        shown,
        key=f"explore-{key}-table",
        hide_index=True,
        width="stretch",
        height=250,
        column_config=formats,
        on_select="rerun",
        selection_mode="multi-row",
    ).selection.rows
    chosen = part.iloc[ticked] if ticked else part
    if len(ticked) == 1:
        show_point(table, int(chosen.index[0]), labels)
    owners = chosen.loc[chosen["verdict"] != "", "owner"].unique().tolist()
    if owners:
        show_actions(workbench, owners, key)


def show_point(table: pd.DataFrame, row: int, labels: list[str]) -> None:
    """One text in full, and its nearest texts by each model."""
    with st.container(border=True, key=f"explore-point-{row}"):
        show_text(table.at[row, "text"])
        for column, suffix, label in zip(st.columns(len(labels)), ("", "2"), labels, strict=False):
            column.markdown(f"**Nearest by {plain(label)}**")
            near = table.loc[[i for i in table.at[row, f"near{suffix}"] if i >= 0][:5], ["kind", "text"]]
            column.dataframe(near, key=f"explore-near{suffix}", hide_index=True, width="stretch")


def show_actions(workbench: Workbench, owners: list[str], key: str) -> None:
    """Decide on the triples of the rows; a bulk decision is undone as one."""
    accept, reason_side, reject, flag, undo = st.columns([2, 3, 2, 2, 2], vertical_alignment="bottom")
    reason = reason_side.selectbox("Reason for rejecting", [r.value for r in RejectReason], key=f"explore-{key}-reason")
    with problems_shown():
        if accept.button(f"Accept {len(owners):,}", key=f"explore-{key}-accept", icon=":material/check:", width="stretch"):
            _told(workbench.review.bulk(owners, Action.ACCEPT, reviewer()), "accepted")
        if reject.button(f"Reject {len(owners):,}", key=f"explore-{key}-reject", icon=":material/close:", width="stretch"):
            _told(workbench.review.bulk(owners, Action.REJECT, reviewer(), reason=reason), "rejected")
        if flag.button(
            f"Flag {len(owners):,}",
            key=f"explore-{key}-flag",
            icon=":material/flag:",
            width="stretch",
            help="Send to review: find them there by the filter “flagged”",
        ):
            for owner in owners:
                workbench.review.decide(owner, Action.FLAG, reviewer(), reason="from the map")
            st.session_state["explore-told"] = f"{len(owners):,} triples flagged for review."
            st.rerun()
        if undo.button("Undo my last", key=f"explore-{key}-undo", icon=":material/undo:", width="stretch"):
            st.session_state["explore-told"] = f"Taken back: {len(workbench.review.undo(reviewer())):,} triples."
            st.rerun()


def _told(report: Any, word: str) -> None:
    left = f" {report.unchanged:,} were {word} before." if report.unchanged else ""
    st.session_state["explore-told"] = f"{len(report.changed):,} triples {word}.{left}"
    st.rerun()
