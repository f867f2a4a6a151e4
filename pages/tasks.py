"""Tasks: brainstorm them, judge them, merge near duplicates, see what is covered."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from core.domain.groups import GROUPS, TaskGroup
from core.domain.jobs import JobKind
from core.domain.plans import BrainstormPlan
from core.domain.prompt import PromptStep
from core.domain.task import EmbeddingTask, NearPair, TaskState
from core.errors import BadPlan
from pages.ui.generation_charts import attempt, coverage_chart, duration, show_attempts, show_job, topics_chart
from pages.ui.problems import problems_shown
from pages.ui.prompt_editor import money
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_empty_state, show_text

BRAINSTORMED = [g for g in TaskGroup if GROUPS[g].brainstormed]
ALL = "all"


def brainstorm_form() -> None:
    """What to ask for, what it will take, and the start."""
    workbench = open_workbench()
    endpoints = {e.name: e for e in workbench.endpoints.list()}
    names = list(endpoints)
    columns = st.columns([1.4, 1, 2, 2.4, 1], vertical_alignment="bottom")
    group = TaskGroup(columns[0].selectbox("Group", [g.value for g in BRAINSTORMED], key="brainstorm-group"))
    count = columns[1].number_input("Tasks", 1, 2000, 20, key="brainstorm-count")
    endpoint = endpoints[
        columns[2].selectbox("Ask", names, index=names.index(workbench.endpoints.default().name), key="brainstorm-endpoint")
    ]
    topics = columns[3].text_input("Topics, separated by commas", key="brainstorm-topics", placeholder="any: drawn from 101 subjects")
    seed = columns[4].number_input("Seed", 0, None, len(workbench.jobs.find(JobKind.BRAINSTORM)), key="brainstorm-seed",
                                   help="A new seed brings new tasks.")  # fmt: skip
    versions = {f"v{v.number} {v.note}".strip(): v for v in workbench.prompts.versions(group, PromptStep.BRAINSTORM)}
    version = versions[st.selectbox("Prompt version", list(versions), key=f"brainstorm-version-{group.value}", width=260)]
    values = endpoint.model_dump(exclude={"name"}) | {
        "counts": {group: count},
        "topics": tuple(t.strip() for t in (topics or "").split(",") if t.strip()),
        "seed": seed,
        "prompt_versions": {group: version.id},
    }
    with problems_shown():
        plan = _plan_of(values)
        estimate = workbench.generation.estimate(plan)
        known = f" {estimate.answered} of them are answered already and not sent again." if estimate.answered else ""
        requests = f"{estimate.requests} request{'' if estimate.requests == 1 else 's'}"
        takes = f"{requests}, {money(estimate.cost)}, about {duration(estimate.seconds)}.{known}"
        st.caption(plain(f"{takes} {estimate.basis}"))
        if endpoint.embedded:
            st.warning("The embedded teacher is a very small model: its tasks are clumsy. Set a real endpoint in Settings for data worth "
                       "training on.", icon=":material/info:")  # fmt: skip
        st.button("Brainstorm", key="start-brainstorm", type="primary", icon=":material/lightbulb:", on_click=attempt,
                  args=(workbench.generation.start_brainstorm, plan))  # fmt: skip


def _plan_of(values: dict[str, object]) -> BrainstormPlan:
    try:
        return BrainstormPlan.model_validate(values)
    except ValidationError as error:
        raise BadPlan(str(error.errors()[0]["msg"]), hint="Correct the form.") from error


@st.fragment(run_every=2)
def show_latest_brainstorm() -> None:
    """The newest brainstorm job, live; the page is drawn again when it ends."""
    with problems_shown():
        show_attempts()
        jobs = open_workbench().jobs.find(JobKind.BRAINSTORM, limit=1)
        if not jobs:
            return
        with st.container(border=True, key="brainstorm-job"):
            show_job(jobs[0], unit="tasks")
        was_active = st.session_state.get("brainstorm-active")
        st.session_state["brainstorm-active"] = jobs[0].id if jobs[0].state.active else None
        if was_active == jobs[0].id and not jobs[0].state.active:
            st.rerun()


def filters() -> list[EmbeddingTask]:
    """Choose which tasks are listed."""
    group, state, text = st.columns([1.4, 1.4, 3], vertical_alignment="bottom")
    chosen_group = group.selectbox("Group", [ALL, *(g.value for g in BRAINSTORMED)], key="tasks-group", bind="query-params")
    chosen_state = state.selectbox("State", [ALL, *(s.value for s in TaskState)], key="tasks-state", bind="query-params")
    words = text.text_input("Search", key="tasks-text", type="search", placeholder="words in the task", bind="query-params")
    only_group = None if chosen_group == ALL else TaskGroup(chosen_group)
    only_state = None if chosen_state == ALL else TaskState(chosen_state)
    return list(open_workbench().tasks.list(only_group, only_state, text=words or ""))


def show_table(tasks: list[EmbeddingTask]) -> None:
    """The list with what can be done to the selected rows, or to all of them."""
    table = pd.DataFrame([asdict(task) for task in tasks])[["text", "group", "state", "topic", "source"]]
    chosen = st.dataframe(
        table, hide_index=True, key="tasks-table", on_select="rerun", selection_mode="multi-row", height=360,
        column_config={"text": st.column_config.TextColumn("task", width=430)},
    )  # fmt: skip
    rows = chosen["selection"]["rows"]  # type: ignore[index]
    selected = [tasks[row] for row in rows if row < len(tasks)]
    targets = selected or tasks
    ids = [task.id for task in targets]
    words = f"{len(selected)} selected" if selected else f"all {len(tasks)} listed"
    book = open_workbench().tasks
    accept, reject, edit = st.columns([1.4, 1.4, 3])
    for column, word, icon, action in ((accept, "Accept", "check", book.accept), (reject, "Reject", "close", book.reject)):
        column.button(
            f"{word} {words}", key=f"{word.lower()}-tasks", icon=f":material/{icon}:", on_click=attempt, args=(action, ids), width="stretch"
        )
    if len(selected) == 1:
        with edit.popover("Edit the selected task", icon=":material/edit:"):
            edit_form(selected[0])
    else:
        edit.caption("Select rows in the table to judge only those; select one to edit it.")


def edit_form(task: EmbeddingTask) -> None:
    """Reword one task."""
    text = st.text_area("Task", task.text, key=f"edit-{task.id}")
    st.caption("The new wording is a task of its own; the old one stays, rejected, with the examples written for it.")
    st.button("Save", key=f"save-{task.id}", type="primary", on_click=attempt, args=(open_workbench().tasks.edit, task.id, text or ""))


def add_form() -> None:
    """Tasks by hand, one a line."""
    with st.expander("Add tasks by hand", icon=":material/add:"), st.form("add-tasks", border=False, clear_on_submit=False):
        group, topic = st.columns(2)
        chosen = TaskGroup(group.selectbox("Group", [g.value for g in BRAINSTORMED], key="add-group"))
        about = topic.text_input("Topic", key="add-topic", placeholder="one to three words")
        text = st.text_area("One task a line", key="add-text", height=110,
                            placeholder="Given a symptom of a houseplant, retrieve care advice that names the cause.")  # fmt: skip
        if st.form_submit_button("Add", key="add-tasks-button", icon=":material/add:"):
            with problems_shown():
                report = open_workbench().tasks.add(chosen, (text or "").splitlines(), topic=about or "")
                known = f"; {len(report.duplicates)} were there already" if report.duplicates else ""
                st.success(f"Added {len(report.added)} tasks, accepted{known}.", icon=":material/check:")


def show_near_duplicates() -> None:
    """Pairs of tasks that say nearly the same, side by side."""
    pairs = open_workbench().tasks.near_duplicates()
    if not pairs:
        show_empty_state("No two tasks are worded alike. Tasks of one group that share most of their wording are shown here in pairs.")
        return
    st.caption(f"{len(pairs)} pairs whose wording is alike (character 4-grams in common). Reject the weaker one; its examples stay.")
    for number, pair in enumerate(pairs[:30]):
        show_pair(number, pair)


def show_pair(number: int, pair: NearPair) -> None:
    """Two tasks with a button each."""
    book = open_workbench().tasks
    with st.container(border=True, key=f"pair-{number}"):
        st.markdown(f":gray-badge[{pair.first.group.value}] **{pair.similarity:.0%}** alike")
        for name, column, task in zip(("first", "second"), st.columns(2), (pair.first, pair.second), strict=True):
            with column:
                show_text(task.text, key=f"pair-{number}-{name}-text")
                label = f"Reject this one ({task.state.value})"
                st.button(label, key=f"pair-{number}-{name}", on_click=attempt, args=(book.reject, [task.id]))


def show_coverage() -> None:
    """What the tasks are about."""
    book = open_workbench().tasks
    groups, topics = st.columns(2, gap="large")
    with groups:
        st.markdown("##### By group")
        st.altair_chart(coverage_chart(book.counts()), key="coverage-groups", alt="Tasks by group and state")
    with topics:
        st.markdown("##### By topic")
        found = book.topics()
        if found:
            st.altair_chart(topics_chart(found), key="coverage-topics", alt="Tasks by topic")
            st.caption(f"{len(found):,} topics among {sum(found.values()):,} tasks that are not rejected.")
        else:
            show_empty_state("No task yet.")


st.title("Tasks")
st.caption("A task is one sentence: what the query is, and which documents are wanted. It becomes the instruction of its queries.")
with problems_shown():
    brainstorm_form()
    show_latest_brainstorm()
    st.divider()
    all_tasks, near, coverage = st.tabs(["All tasks", "Near duplicates", "Coverage"], on_change="rerun", key="tasks-tabs")
    if all_tasks.open:
        with all_tasks:
            listed = filters()
            if listed:
                show_table(listed)
            else:
                show_empty_state("No task matches. Brainstorm above, add some by hand, or load the starter set on the Home page.")
            add_form()
    elif near.open:
        with near:
            show_near_duplicates()
    elif coverage.open:
        with coverage:
            show_coverage()
