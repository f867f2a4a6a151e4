"""The map: who is near whom, before and after, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import MapPlan
from core.domain.review import Action, RejectReason
from core.workbench import Workbench
from pages.ui.job_watch import show_ended, watch_job
from pages.ui.map_chart import COLOURS, NUMERIC, Marked, colour_choices, map_option
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import plain, show_empty_state, show_text

HEIGHT = 470
MOST_JOINED = 60  # triples; lines of more are a carpet
MOST_ROWS = 2000
OUTLIERS = 50
SHOWN = ["kind", "text", "group", "task", "language", "verdict", "margin", "margin2", "change", "cluster_name"]


def show_form(workbench: Workbench, *, expanded: bool) -> None:
    """The plan of a map."""
    with st.expander("Make a map", icon=":material/add_location_alt:", expanded=expanded, key="explore-form"):
        sources = _sources(workbench)
        if not sources:
            show_empty_state(
                "There is nothing to map yet: no triples.",
                page=str(Path(__file__).parent / "generate.py"),
                action="Generate or import some",
            )
            return
        left, middle, right = st.columns([2, 3, 3], vertical_alignment="bottom")
        source = left.selectbox("Texts", list(sources), format_func=sources.__getitem__, key="explore-source")
        systems = dict(workbench.systems.names())
        newest = next((name for name in systems if name.startswith("run:")), "baseline")
        models = middle.multiselect(
            "Models: before, after",
            list(systems),
            default=["raw", newest],
            max_selections=2,
            format_func=systems.__getitem__,
            key="explore-models",
        )
        with right:
            a, b, c = st.columns(3)
            neighbours = a.number_input("Neighbours", 2, 200, 15, key="explore-neighbours", help="UMAP's n_neighbors: small shows detail")
            distance = b.number_input(
                "Distance", 0.0, 1.0, 0.1, 0.05, key="explore-distance", help="UMAP's min_dist: small packs points tightly"
            )
            seed = c.number_input("Seed", 0, 2**31 - 1, 0, key="explore-seed", help="Equal seeds give equal maps")
        if st.button("Make the map", key="explore-start", type="primary", icon=":material/play_arrow:", disabled=not models):
            with problems_shown():
                plan = MapPlan(models=tuple(models), neighbours=neighbours, min_distance=distance, seed=seed, **_chosen(source))
                st.session_state["explore-map"] = workbench.exploration.start_map(plan).id
                st.rerun()
        st.caption("Two models are laid out so that the same text stays near its place. An equal map that exists already is shown at once.")


def _sources(workbench: Workbench) -> dict[str, str]:
    found = {"triples": f"All triples ({count:,})"} if (count := workbench.dataset.count()) else {}
    found |= {f"version {v.id}": f"Version {v.name} ({v.train_count + v.heldout_count:,} examples)" for v in workbench.dataset.versions()}
    return found | {
        f"corpus {c.id}": f"{c.name} ({c.documents:,} documents)" for c in workbench.corpora.find() if not c.id.startswith("version:")
    }


def _chosen(source: str) -> dict[str, Any]:
    kind, _, identifier = source.partition(" ")
    return {"triples": True} if kind == "triples" else {"dataset_version_id" if kind == "version" else "corpus_id": identifier}


def choose_map(workbench: Workbench) -> Job | None:
    """The map to look at: the one just made, else the newest."""
    jobs = workbench.jobs.find(JobKind.MAP)
    if not jobs:
        return None
    titles = {j.id: f"{j.title} · {j.created_at[:16].replace('T', ' ')} · {j.state.value}" for j in jobs}
    if st.session_state.get("explore-map") not in titles:
        st.session_state["explore-map"] = next((j.id for j in jobs if j.state is JobState.DONE), jobs[0].id)
    shown = st.selectbox("Map", list(titles), format_func=titles.__getitem__, key="explore-map", persist_state="session")
    return next(j for j in jobs if j.id == shown)


@st.cache_data(show_spinner="Reading the map …", max_entries=8)
def _stored_points(_workbench: Workbench, workspace: str, map_id: str) -> pd.DataFrame:
    return _workbench.exploration.points(map_id)


def points_of(workbench: Workbench, job: Job) -> pd.DataFrame:
    """The stored points, with the verdicts of this moment."""
    table = _stored_points(workbench, str(workbench.settings.workspace), job.id)
    return table.assign(verdict=workbench.exploration.verdicts(table))


def show_map(workbench: Workbench, job: Job) -> None:
    """Controls, chart, then what was selected or stands out."""
    table = points_of(workbench, job)
    labels = [workbench.systems.label(name) for name in job.plan["models"]]
    colour_side, search_side, links_side, count = st.columns([2, 3, 2, 2], vertical_alignment="bottom")
    colours = colour_choices(table)
    colour = colour_side.selectbox("Colour by", colours, format_func=COLOURS.__getitem__, key="explore-colour")
    wanted = search_side.text_input(
        "Search in the texts", key="explore-search", type="search", live="500ms", placeholder="marks matching points"
    )
    linked = links_side.toggle(
        "Join triples",
        key="explore-links",
        value=True,
        help=f"of up to {MOST_JOINED} selected triples; to the positive: solid, to the negative: dashed",
    )
    matches = _matching(table, wanted)
    count.caption(f"{len(table):,} points · {job.result['clusters']} clusters" + (f" · {len(matches):,} match" if wanted.strip() else ""))
    if not len(matches) and wanted.strip():
        st.caption("No text on this map contains these words.")
    selected = st.session_state.get(f"explore-rows-{job.id}", [])
    marked = Marked(matches[:MOST_ROWS], _links(table, selected) if linked else ())
    titles = labels if len(labels) == 1 else [f"before · {labels[0]}", f"after · {labels[1]}"]
    event = st.echarts_chart(
        map_option(table, colour, titles, marked, height=HEIGHT),
        key=f"explore-chart-{job.id}",
        height=HEIGHT,
        on_select="rerun",
        alt=f"Map of {len(table)} texts coloured by {COLOURS[colour]}",
    )
    rows = sorted({i for part in event.selection.selected for i in part["data_indices"] if i < len(table)})
    if rows != selected:
        st.session_state[f"explore-rows-{job.id}"] = rows
        if linked:
            st.rerun()
    st.caption(
        "Draw a box or a lasso with the buttons above the map (top right); click a word of the legend to hide it. Shapes tell kinds."
    )
    show_tables(workbench, table, rows or matches, "selected" if rows else "found", labels)


def _matching(table: pd.DataFrame, wanted: str) -> list[int]:
    words = wanted.split()
    if not words:
        return []
    hit = pd.Series(True, index=table.index)
    for word in words:
        hit &= table["text"].str.contains(word, case=False, regex=False)
    return table.index[hit].tolist()


def _links(table: pd.DataFrame, rows: list[int]) -> list[tuple[int, int, str]]:
    """Query to positive and query to negative of each triple that has a selected point."""
    owners = set(table.loc[rows, "owner"]) if rows else set()
    if len(owners) > MOST_JOINED:
        return []
    parts = table[table["owner"].isin(owners)]
    place = {(o, k): i for i, o, k in zip(parts.index, parts["owner"], parts["kind"], strict=True)}
    return [(place[o, "query"], i, k) for (o, k), i in place.items() if k != "query" and (o, "query") in place]


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


st.title("Explore")
with problems_shown():
    opened = open_workbench()
    any_map = bool(opened.jobs.find(JobKind.MAP, limit=1))
    show_form(opened, expanded=not any_map)
    if told := st.session_state.pop("explore-told", None):
        st.toast(told, icon=":material/done:")
    current = choose_map(opened)
    if current is None:
        show_empty_state("No map yet. Choose texts and models above, then press Make the map.")
    elif current.state.active:
        watch_job(current.id, key="explore")
    elif current.state is JobState.DONE:
        show_map(opened, current)
    else:
        show_ended(current, key="explore")
