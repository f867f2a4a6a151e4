"""Make an embedding model: the plan, the run as it goes, and runs side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from core.domain.jobs import Job, JobState
from core.domain.plans import TrainingPlan
from core.workbench import Workbench
from pages.ui import training_curves as curves
from pages.ui import training_facts as facts
from pages.ui import training_form as form
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.training_comparison import show_comparison
from pages.ui.training_line import ahead_of_a_new_run, show_line
from pages.ui.widgets import job_badge, page_file, plain, show_empty_state

NEW, RUNS, COMPARE = "New run", "Runs", "Compare"


def clone_chosen(job: Job) -> None:
    """A run's plan becomes the form's."""
    with problems_shown():
        form.fill(open_workbench().training.clone_of(job))
        st.session_state["train-view"] = NEW


def show_form(workbench: Workbench) -> None:
    """The plan on the left, what it means on the right."""
    versions = workbench.dataset.versions()
    if not versions:
        message = "There is no dataset version to train on yet. Accept triples, then freeze a version."
        show_empty_state(message, page=page_file("dataset"), action="Open Dataset")
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        plan = form.show_fields(workbench, {v.id: f"{v.name} · {v.train_count} to train on, {v.heldout_count} held out" for v in versions})
    with right, problems_shown():
        show_inspection(workbench, workbench.training.plan(plan))


def show_inspection(workbench: Workbench, plan: TrainingPlan) -> None:
    """What would be trained, and the button that does it."""
    with st.container(border=True, key="train-inspection"):
        st.markdown("##### What will be trained")
        found = workbench.training.inspect(plan)
        one, two = st.columns(2)
        one.metric("Triples", f"{found.examples:,}", help=f"{found.without_negative} of them have no hard negative of their own.")
        two.metric("Passes over them", f"{found.epochs:.1f}")
        one.metric("Time, about", curves.duration(found.seconds))
        two.metric("Memory, about", f"{found.memory_bytes / 1e9:.1f} GB" if found.memory_bytes else "unknown")
        st.markdown(" · ".join(f"{plain(group)} **{count}**" for group, count in sorted(found.by_group.items())))
        st.caption(
            f"{found.steps:,} steps of {found.batch_size} triples, about {found.tokens_a_step:,} tokens a step. "
            f"{found.cut_share:.0%} of the texts are longer than {plan.max_length} tokens and are cut. "
            f"{found.heldout} held-out triples are never trained on. {found.basis}"
        )
        for warning in found.warnings:
            st.warning(plain(warning), icon=":material/warning:")
        if wait := ahead_of_a_new_run(workbench):
            st.info(plain(wait), icon=":material/hourglass_empty:")
        if st.button(
            "Put in line" if wait else "Start training", key="train-start", type="primary", icon=":material/play_arrow:", width="stretch"
        ):
            st.session_state["train-started"] = workbench.training.start(plan).id
            st.rerun()


def show_runs(workbench: Workbench, runs: list[Job]) -> None:
    """One run, live or as it ended."""
    if not runs:
        show_empty_state("No run yet. Choose “New run”, look at what will be trained, and start.")
        return
    if workbench.jobs.line.waiting():
        show_line()
    titles = {job.id: run_name(job) for job in runs}
    if st.session_state.get("train-shown") not in titles:
        st.session_state["train-shown"] = runs[0].id
    shown = st.selectbox("Run", list(titles), format_func=titles.__getitem__, key="train-shown", persist_state="session")
    if workbench.jobs.get(shown).state.active:
        live_run(shown)
    else:
        show_run(workbench, workbench.jobs.get(shown))
    with problems_shown():
        facts.show_facts(workbench, workbench.jobs.get(shown))


@st.fragment(run_every=2)
def live_run(job_id: str) -> None:
    """A run at work, drawn again every two seconds; the page is drawn again when it is over."""
    with problems_shown():
        workbench = open_workbench()
        job = workbench.jobs.get(job_id)
        if not job.state.active:
            st.rerun()
        show_run(workbench, job)


def show_run(workbench: Workbench, job: Job) -> None:
    """Title, buttons, numbers, curves, probes."""
    events, _ = workbench.jobs.events(job.id)
    title, badge, stop, clone = st.columns([6, 1.3, 1.7, 2.2], vertical_alignment="center")
    title.markdown(f"**{plain(job.title)}**")
    with badge:
        job_badge(job)
    _stop_or_resume(workbench, job, stop)
    clone.button(
        "Clone with changes", key="train-clone", icon=":material/content_copy:", on_click=clone_chosen, args=(job,), width="stretch"
    )
    if job.failure:
        st.error(f"{plain(job.failure.message)}\n\n**What to do:** {plain(job.failure.hint)}", icon=":material/error:")
    rows = curves.step_table(events)
    if (place := workbench.jobs.line.places().get(job.id)) is not None:
        st.progress(0.0, text=plain(f"{place}. It starts by itself." if place.ahead else str(place)))
    elif rows.empty and job.state.active:
        st.progress(0.0, text="Loading the model and checking tokens …")
    if rows.empty:
        return
    show_numbers(job, rows.iloc[-1].to_dict())
    for column, field in zip(st.columns(4), curves.CURVES, strict=True):
        column.altair_chart(curves.curve(rows, field), key=f"train-curve-{field}", width="stretch", alt=curves.CURVES[field][0])
    facts.show_probes(events)


def _stop_or_resume(workbench: Workbench, job: Job, place: Any) -> None:
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        if place.button("Stop", key="train-stop", icon=":material/stop:", width="stretch", help="Finish the step, save, end."):
            workbench.jobs.stop(job.id)
            st.rerun()
    elif job.state.resumable:
        help_text = "Go on from the last checkpoint; the result is the same as without the pause."
        if place.button("Resume", key="train-resume", icon=":material/play_arrow:", width="stretch", help=help_text):
            workbench.jobs.resume(job.id)
            st.rerun()


def show_numbers(job: Job, last: dict[str, Any]) -> None:
    """Where the run stands, in numbers with units."""
    done, total = int(last["step"]), int(last["steps"])
    left = f"{curves.duration(last['eta_seconds'])} left" if job.state.active else job.state.value
    st.progress(done / total, text=f"Step {done:,} of {total:,} · epoch {int(last['epoch'])} · {left}")
    shown = (
        ("Loss", f"{last['loss']:.3f}"),
        ("In-batch accuracy", f"{last['accuracy']:.0%}"),
        ("Triples a second", f"{last['triples_per_second']:.1f}"),
        ("Tokens a second", f"{last['tokens_per_second']:,.0f}"),
        ("Memory", f"{last['memory_bytes'] / 1e9:.1f} GB"),
        ("Seconds a step", f"{last['seconds']:.1f}"),
    )
    for column, (label, value) in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(label, value)


def run_name(job: Job) -> str:
    """What a list calls a run."""
    when = datetime.fromisoformat(job.created_at).strftime("%d %b %H:%M:%S") if job.created_at else ""
    return f"{when} · {job.title} · {job.state.value} · {job.id[-6:]}"


st.title("Train")
st.caption("A LoRA adapter turns the decoder into an embedder: each query is pulled to its positive and pushed from all other documents.")
with problems_shown():
    opened = open_workbench()
    started = st.session_state.pop("train-started", None)
    if started:
        st.session_state["train-view"], st.session_state["train-shown"] = RUNS, started
    all_runs = opened.training.runs()
    if "train-view" not in st.session_state:
        st.session_state["train-view"] = RUNS if all_runs else NEW
    view = st.segmented_control("View", [NEW, RUNS, COMPARE], key="train-view", label_visibility="collapsed", required=True)
    if view == NEW:
        show_form(opened)
    elif view == RUNS:
        show_runs(opened, all_runs)
    else:
        show_comparison(opened, all_runs, run_name)
