"""Live view of brainstorm and generation jobs, and the pictures of plans and coverage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import altair as alt
import pandas as pd
import streamlit as st

from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.prompt import PromptStep
from core.domain.request import GenerationProgress, RequestRecord, RequestState
from core.domain.task import TaskState
from core.domain.yields import YieldAxis, total
from core.errors import WorkbenchError
from pages.ui.problems import show_problem
from pages.ui.prompt_editor import money
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import job_badge, plain, visible

STATES = {  # words and colours that hold in light and dark
    RequestState.PARSED: ("parsed", "#2e8b57"),
    RequestState.FAILED: ("failed", "#d1495b"),
    RequestState.RECEIVED: ("received", "#3d7ea6"),
    RequestState.SENT: ("in flight", "#e0a030"),
    RequestState.PLANNED: ("waiting", "#9aa5b1"),
}
TASK_COLOURS = {TaskState.ACCEPTED: "#2e8b57", TaskState.PROPOSED: "#e0a030", TaskState.REJECTED: "#9aa5b1"}
STEPS = {JobKind.BRAINSTORM: PromptStep.BRAINSTORM, JobKind.GENERATE: PromptStep.EXAMPLE}
UNKNOWN_PRICE = "The price of this model at this address is unknown. Unknown is never shown as 0."
RAW_SHOWN = 20_000  # characters


def duration(seconds: float | None) -> str:
    """Time in words short enough for a metric."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def attempt(action: Callable[..., object], *arguments: object) -> None:
    """Do what a button asks; a problem is shown by the next `show_attempts`, because a callback cannot draw."""
    try:
        action(*arguments)
    except WorkbenchError as error:
        st.session_state["attempt-problem"] = error


def show_attempts() -> None:
    """Show what went wrong in the last `attempt`, once."""
    if problem := st.session_state.pop("attempt-problem", None):
        show_problem(problem)


def show_job(job: Job, *, unit: str) -> None:
    """Title, state, controls, numbers, yield by group, failures."""
    title, state, control = st.columns([5, 1.1, 2.9], vertical_alignment="center")
    title.markdown(f"**{plain(job.title)}**  \n:small[{plain(job.id)} · started {_clock(job.created_at)}{_ended_by(job)}]")
    with state:
        job_badge(job)
    with control:
        _controls(job)
    if job.failure and job.state.resumable:
        hint = f"\n\n**What to do:** {plain(job.failure.hint)}" if job.failure.hint else ""
        st.error(plain(job.failure.message) + hint, icon=":material/error:")
    progress = open_workbench().generation.progress(job.id)
    _numbers(job, progress, unit)
    if progress.tally.total:
        st.altair_chart(yield_chart(progress), key=f"yield-{job.id}", alt="Requests of this job by group and outcome")
    if progress.tally.reasons:
        _failures(job, progress)


def _clock(time: str) -> str:
    return f"{time[:16].replace('T', ' ')} UTC"


def _ended_by(job: Job) -> str:
    """Who paused or stopped it, and when."""
    asked = job.ended_on
    if asked is None or not asked.at:
        return ""
    word = "asked to " + ("pause" if asked.state is JobState.PAUSED else "stop") if job.state.active else asked.state.value
    return f" · {word} {_clock(asked.at)}" + (f" by {plain(asked.by)}" if asked.by else "")


def _controls(job: Job) -> None:
    board, who = open_workbench().jobs, reviewer()
    row = st.container(horizontal=True, horizontal_alignment="right")
    if job.state in (JobState.QUEUED, JobState.RUNNING):
        row.button("Pause", key=f"pause-{job.id}", icon=":material/pause:", on_click=attempt, args=(partial(board.pause, by=who), job.id),
                   help="Replies under way are waited for and kept; Resume goes on from there, after a restart too.")  # fmt: skip
    elif job.state.active:
        row.caption("Waiting for the replies under way …")
    elif job.state.resumable:
        row.button("Resume", key=f"resume-{job.id}", icon=":material/play_arrow:", on_click=attempt, args=(board.resume, job.id),
                   help="Sends only what has no reply yet.")  # fmt: skip
    if job.state in (JobState.QUEUED, JobState.RUNNING, JobState.PAUSING, JobState.PAUSED):
        row.button("Stop", key=f"stop-{job.id}", icon=":material/stop:", on_click=attempt, args=(partial(board.stop, by=who), job.id),
                   help="For good: replies under way are kept, and what is hung is ended after 5 minutes.")  # fmt: skip


def _numbers(job: Job, progress: GenerationProgress, unit: str) -> None:
    tally = progress.tally
    st.progress(min(1.0, tally.ended / tally.total) if tally.total else 0.0, text=f"{tally.ended:,} of {tally.total:,} requests")
    columns = st.columns(6)
    columns[0].metric("Parsed", f"{tally.parsed:,}", help="Replies that could be used")
    columns[1].metric("Failed", f"{tally.failed:,}")
    made = total(open_workbench().yields.by(YieldAxis.GROUP, step=STEPS[job.kind], job_ids=[job.id]))
    flagged = f"; {made.flagged:,} of them are flagged by a check" if made.flagged else ""
    columns[2].metric(f"New {unit}", f"{made.made:,}", help=f"Duplicates are not counted{flagged}")
    columns[3].metric("Cost so far", money(tally.cost, unknown="?"), help=None if tally.cost is not None else UNKNOWN_PRICE)
    rate = f"{progress.replies_a_minute:.3g}" if progress.replies_a_minute and job.state.active else "–"
    columns[4].metric("Per minute", rate, help="Replies a minute, over the newest 40")
    columns[5].metric("Time left", duration(progress.seconds_left) if job.state.active else "–")


def yield_chart(progress: GenerationProgress) -> alt.Chart:
    """One bar a group, divided by what became of its requests."""
    rows = [
        {"group": group.value, "outcome": STATES[state][0], "requests": count, "order": list(STATES).index(state)}
        for group, counts in progress.tally.by_group.items()
        for state, count in counts.items()
    ]
    words, colours = zip(*STATES.values(), strict=True)
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("requests:Q", title="requests", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("group:N", title=None, sort=[g.value for g in TaskGroup]),
            color=alt.Color("outcome:N", scale=alt.Scale(domain=words, range=colours), title=None, legend=alt.Legend(orient="top")),
            order="order:Q",
            tooltip=["group", "outcome", "requests"],
        )
        .properties(height=32 * len(progress.tally.by_group) + 135)  # legend and axis take about 120 of it
    )


def _failures(job: Job, progress: GenerationProgress) -> None:
    total = sum(progress.tally.reasons.values())
    listed = ", ".join(f"{n} × {plain(reason)}" for reason, n in progress.tally.reasons.items())
    with st.expander(f"{total} failed: {listed}", key=f"failed-{job.id}"):
        records = open_workbench().generation.failures(job.id)
        reasons = ["all", *progress.tally.reasons]
        reason = st.selectbox("Reason", reasons, key=f"reason-{job.id}")
        shown = [r for r in records if reason in ("all", r.reason)]
        index = st.selectbox("Request", range(len(shown)), format_func=lambda i: _failure_name(shown[i]), key=f"failure-{job.id}")
        if index is not None and shown:
            _failure(shown[index])


def _failure_name(record: RequestRecord) -> str:
    request = record.request
    return f"{request.group.value} · {request.language or 'brainstorm'} · {record.reason} · {record.key[:8]}"


def _failure(record: RequestRecord) -> None:
    reply, prompt = st.columns(2)
    reply.markdown(f"**Raw reply** · {record.completion_tokens or '?'} tokens · finish reason {plain(record.finish_reason or 'none')}")
    came = record.raw or record.error_body or "No reply was received."
    reply.code(visible(came[:RAW_SHOWN]), language=None, wrap_lines=True, height=260)
    prompt.markdown("**Prompt**")
    prompt.code(record.request.messages[-1]["content"], language=None, wrap_lines=True, height=260)


def language_chart(weights: Mapping[str, float], *, most: int = 15) -> alt.Chart:
    """Shares of a language plan, the largest ones."""
    total = sum(weights.values()) or 1.0
    shares = sorted(((name, weight / total) for name, weight in weights.items() if weight > 0), key=lambda pair: (-pair[1], pair[0]))
    rows = [{"language": name, "share": share} for name, share in shares[:most]]
    if rest := shares[most:]:
        rows.append({"language": f"{len(rest)} others", "share": sum(share for _, share in rest)})
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of examples", axis=alt.Axis(format="%")),
            y=alt.Y("language:N", title=None, sort=[str(row["language"]) for row in rows]),
            tooltip=["language", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=20 * len(rows) + 80)
    )


def coverage_chart(counts: Mapping[TaskGroup, Mapping[TaskState, int]]) -> alt.Chart:
    """Tasks by group and state."""
    rows = [
        {"group": group.value, "state": state.value, "tasks": count, "order": list(TASK_COLOURS).index(state)}
        for group, by_state in counts.items()
        for state, count in by_state.items()
    ]
    scale = alt.Scale(domain=[s.value for s in TASK_COLOURS], range=list(TASK_COLOURS.values()))
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("tasks:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("group:N", title=None, sort=[g.value for g in counts]),
            color=alt.Color("state:N", scale=scale, title=None, legend=alt.Legend(orient="top")),
            order="order:Q",
            tooltip=["group", "state", "tasks"],
        )
        .properties(height=34 * len(counts) + 120)
    )


def topics_chart(topics: Mapping[str, int], *, most: int = 20) -> alt.Chart:
    """The most frequent topics."""
    names: Sequence[str] = list(topics)[:most]
    rows = pd.DataFrame({"topic": names, "tasks": [topics[name] for name in names]})
    return (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("tasks:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("topic:N", title=None, sort=list(names)),
            tooltip=["topic", "tasks"],
        )
        .properties(height=20 * len(names) + 80)
    )
