"""The map: who is near whom, before and after, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.jobs import Job, JobKind, JobState
from core.domain.plans import MapPlan
from core.workbench import Workbench
from pages.ui.job_watch import show_job
from pages.ui.map_chart import COLOURS, Marked, colour_choices, map_option
from pages.ui.map_tables import MOST_ROWS, show_tables
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import show_empty_state

HEIGHT = 470
MOST_JOINED = 60  # triples; lines of more are a carpet


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
    else:
        show_job(current, key="explore", show_result=lambda job: show_map(opened, job))
