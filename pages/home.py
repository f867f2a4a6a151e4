"""Where the project stands, what runs now, and the next sensible step."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.domain.jobs import Job, JobKind
from core.domain.progress import Stage, stages
from core.jobs.line import Place
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, use_workspace
from pages.ui.widgets import job_badge, page_file, plain, show_empty_state

JOB_PAGES = {
    JobKind.BRAINSTORM: "tasks",
    JobKind.GENERATE: "generate",
    JobKind.CHECK: "generate",
    JobKind.MINE: "dataset",
    JobKind.LIKEN: "dataset",
    JobKind.REWRITE: "review",
    JobKind.TRAIN: "train",
    JobKind.EXPORT: "train",
    JobKind.INDEX: "search",
    JobKind.MAP: "explore",
    JobKind.EVALUATE: "evaluate",
}


def show_strip(all_stages: list[Stage]) -> None:
    """The stages side by side in the order of the work: name, count, state, next step."""
    for column, stage in zip(st.columns(len(all_stages), gap="xsmall"), all_stages, strict=True):
        with column.container(border=True, height=196, gap=None, key=f"stage-{stage.page}"):
            st.page_link(page_file(stage.page), label=f"**{stage.name}**")
            st.markdown(f"### {stage.count:,}")
            st.markdown(f":small[:gray[{stage.unit} · {stage.state}]]  \n:small[→ {stage.next_step}]")


def show_start(workbench: Workbench) -> None:
    """What an empty workspace offers: real data at once."""
    with st.container(border=True, key="start-here"):
        st.markdown("##### :material/rocket_launch: Start here")
        st.write(
            "This workspace is empty. The starter set brings several hundred triples, English and Chinese foremost, for all six "
            "groups of tasks, "
            "written for this project, so that you can review, freeze, train and search within minutes. No key and no network are needed."
        )
        load, accept, _ = st.columns([2, 3, 3])
        if load.button(
            "Load to review", key="load-starter", type="primary", icon=":material/inbox:", help="Every triple waits in the queue"
        ):
            _load(workbench, accept=False)
        if accept.button(
            "Load as already accepted", key="load-starter-accepted", icon=":material/done_all:", help="Go straight to freezing"
        ):
            _load(workbench, accept=True)


def _load(workbench: Workbench, *, accept: bool) -> None:
    with problems_shown(), st.spinner("Reading the starter set and checking every triple …"):
        workbench.dataset.load_starter(accept=accept)
        st.rerun()


@st.fragment(run_every=3)
def show_jobs() -> None:
    """Jobs at work and the latest that ended."""
    st.markdown("##### Work")
    jobs: list[Job] = []
    places: dict[str, Place] = {}
    with problems_shown():
        board = open_workbench().jobs
        jobs, places = board.find(limit=8), board.line.places()
    if not jobs:
        show_empty_state("No job has run yet. Generation, training, indexing, maps and evaluations appear here while they run.")
    for job in jobs:
        _job_line(job, places.get(job.id))


def _job_line(job: Job, place: Place | None) -> None:
    title, state, progress, link = st.columns([4, 1.2, 3.5, 1.3], vertical_alignment="center")
    title.markdown(f"**{plain(job.title)}**  \n:small[{job.kind.value} · {job.created_at[:16].replace('T', ' ')} UTC]")
    with state:
        job_badge(job)
    if job.failure:
        progress.caption(plain(job.failure.message))
    elif place is not None:
        progress.caption(plain(str(place)))
    elif job.state.active:
        events, _ = open_workbench().jobs.events(job.id)
        last = next((e for e in reversed(events) if e["kind"] == "progress"), None)
        if last:
            progress.progress(min(1.0, last["done"] / max(1, last["total"])), text=f"{last['done']} of {last['total']} {last['unit']}")
        else:
            progress.caption("starting …")
    link.page_link(page_file(JOB_PAGES[job.kind]), label="Open", icon=":material/open_in_new:")


def show_workspace(workbench: Workbench) -> None:
    """Which folder is open, and how to open another."""
    with st.expander("Workspace, import and export", icon=":material/folder:"):
        st.text(f"Open now: {workbench.settings.workspace}")
        folder = st.text_input("Open or create another workspace in", key="other-workspace", placeholder="/path/to/folder")
        if st.button("Open it", key="open-workspace", disabled=not folder.strip()):
            with problems_shown():
                use_workspace(Path(folder.strip()).expanduser().resolve())
                st.rerun()
        st.caption("Everything of a project lies in its workspace folder: copy the folder and you have copied the project.")
        st.page_link(page_file("dataset"), label="Import or export triples on the Dataset page", icon=":material/swap_vert:")


st.title("Tercet")
st.caption("Make an embedding model out of a language model: prompts, tasks, triples, review, dataset, training, search.")
with problems_shown():
    opened = open_workbench()
    counts = opened.overview()
    show_strip(stages(counts))
    if not sum((counts.triples or {}).values()):
        show_start(opened)
    show_jobs()
    show_workspace(opened)
