"""Write prompts, see what they look like when sent, try them, and judge a version by what it brought."""

from __future__ import annotations

import streamlit as st

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import Preview, PromptStep, PromptVersion, TrialReport
from core.domain.yields import Yield, YieldAxis
from core.errors import BadTemplate, WorkbenchError
from pages.ui.problems import problems_shown, show_problem
from pages.ui.prompt_comparison import show_comparisons
from pages.ui.prompt_editor import pin_slots, show_preview, show_slots, show_trial
from pages.ui.session import open_workbench
from pages.ui.widgets import plain
from pages.ui.yield_table import show_yield_table

STEP_NAMES = {PromptStep.BRAINSTORM: "1 · Brainstorm", PromptStep.EXAMPLE: "2 · Example", PromptStep.REWRITE: "Rewrite"}
TRIAL_WAIT_SECONDS = 45.0


def choose_prompt() -> tuple[TaskGroup, PromptStep]:
    """Group and step, kept in the URL."""
    left, right = st.columns([5, 3], vertical_alignment="bottom")
    with left:
        group = st.segmented_control(
            "Group of tasks", [g.value for g in TaskGroup], default=TaskGroup.SHORT_LONG.value, required=True, key="prompt-group",
            bind="query-params",
        )  # fmt: skip
    chosen = TaskGroup(group or TaskGroup.SHORT_LONG)
    steps = [s.value for s in PromptStep if s is not PromptStep.BRAINSTORM or GROUPS[chosen].brainstormed]
    with right:
        step = st.segmented_control(
            "Step", steps, default=PromptStep.EXAMPLE.value, required=True, key=f"prompt-step-{chosen.value}",
            format_func=lambda name: STEP_NAMES[PromptStep(name)],
        )  # fmt: skip
    if GROUPS[chosen].fixed_task:
        st.caption(f"This group has no brainstorm: its instruction is always “{GROUPS[chosen].fixed_task}”")
    return chosen, PromptStep(step or PromptStep.EXAMPLE)


def edit(group: TaskGroup, step: PromptStep) -> tuple[str, bool]:
    """The editor; returns the wording and whether it could be rendered."""
    library = open_workbench().prompts
    newest = library.newest(group, step)
    key = f"template-{group.value}-{step.value}"
    if key not in st.session_state:
        st.session_state[key] = newest.template
    st.markdown(f"##### Template · {plain(newest.name)}")
    show_slots(library.slots(group, step))
    template = st.text_area("Template", key=key, height=400, label_visibility="collapsed", persist_state="session") or ""
    try:
        library.check(group, step, template)
        usable = True
    except BadTemplate as error:
        show_problem(error)
        usable = False
    changed = template.strip() != newest.template.strip()
    st.text_input("Note", key=f"note-{key}", placeholder="what you changed and why", label_visibility="collapsed")
    row = st.container(horizontal=True)
    row.button(
        "Save as new version", key="save-version", type="primary", icon=":material/save:", disabled=not (usable and changed),
        on_click=save_version, args=(group, step, key, newest.id),
    )  # fmt: skip
    row.button("Discard edit", key="discard-edit", disabled=not changed, on_click=put_back, args=(key, newest.template))
    if changed and usable:
        st.caption(":material/edit: Not saved yet. The preview and “Try it” already use this wording.")
    return template, usable


def save_version(group: TaskGroup, step: PromptStep, key: str, parent_id: str) -> None:
    """Store the wording in the editor (a callback, so that the page draws the new version)."""
    try:
        version = open_workbench().prompts.save(
            group, step, str(st.session_state[key]), note=str(st.session_state.get(f"note-{key}") or ""), parent_id=parent_id
        )
    except WorkbenchError as error:
        st.session_state["prompt-problem"] = error
        return
    st.session_state[key] = version.template
    st.session_state[f"note-{key}"] = ""
    st.toast(f"Saved as {version.name}", icon=":material/check:")


def restore_version(version_id: str, key: str) -> None:
    """Make an older wording the newest version."""
    try:
        version = open_workbench().prompts.restore(version_id)
    except WorkbenchError as error:
        st.session_state["prompt-problem"] = error
        return
    st.session_state[key] = version.template
    st.toast(f"{version.note.capitalize()} as v{version.number}", icon=":material/check:")


def put_back(key: str, template: str) -> None:
    """Drop an unsaved edit."""
    st.session_state[key] = template


def draw_again() -> None:
    """Another draw of the slots."""
    st.session_state["preview-seed"] = st.session_state.get("preview-seed", 0) + 1


def show_live_preview(group: TaskGroup, step: PromptStep, template: str) -> Preview | None:
    """The prompt as it would be sent now, with slots that can be drawn again or pinned."""
    library = open_workbench().prompts
    st.markdown("##### Live preview")
    row = st.container(horizontal=True)
    row.button("Draw again", key="draw-again", icon=":material/casino:", on_click=draw_again)
    with row.popover("Pin slots", icon=":material/keep:"):
        pinned = pin_slots(library.slots(group, step), f"{group.value}-{step.value}")
    try:
        preview = library.preview(group, step, seed=st.session_state.get("preview-seed", 0), pinned=pinned, template=template)
    except BadTemplate:
        st.info("The preview appears here once the template is complete.", icon=":material/visibility_off:")
        return None
    show_preview(preview)
    return preview


def try_it(group: TaskGroup, step: PromptStep, preview: Preview | None) -> None:
    """One real call with the prompt shown above."""
    workbench = open_workbench()
    endpoints = workbench.endpoints.list()
    default = workbench.endpoints.default().name
    names = [e.name for e in endpoints]
    st.markdown("##### Try it")
    choice, run = st.columns([3, 1.4], vertical_alignment="bottom")
    name = choice.selectbox("Ask", names, index=names.index(default), key="trial-endpoint")
    endpoint = next(e for e in endpoints if e.name == name)
    if endpoint.embedded:
        st.caption("The embedded teacher is a very small model: use it to see that a prompt works, not to judge texts. 10 to 60 s.")
    if run.button("One real call", key="try-it", icon=":material/send:", disabled=preview is None, width="stretch") and preview is not None:
        with problems_shown(), st.spinner(f"Asking {endpoint.model} …", show_time=True):
            if endpoint.embedded:
                workbench.service.ensure_started(TRIAL_WAIT_SECONDS)
            st.session_state["trial"] = (group, step, workbench.trial.run(endpoint, group, step, preview))
    found: tuple[TaskGroup, PromptStep, TrialReport] | None = st.session_state.get("trial")
    if found and found[:2] == (group, step):
        with st.container(border=True, key="trial-report"):
            show_trial(found[2])


def show_versions(group: TaskGroup, step: PromptStep) -> None:
    """All versions with their yield; diff of two; restore."""
    library = open_workbench().prompts
    versions = library.versions(group, step)
    st.markdown("##### Versions and what they brought")
    brought = {one.name: one for one in open_workbench().yields.by(YieldAxis.PROMPT, step=step)}
    by_id = {version.id: version for version in versions}
    rows = [brought.get(version.id, Yield(version.id)) for version in versions]
    show_yield_table(rows, lambda one: _named(by_id[one.name]), key="versions-table")
    if step is PromptStep.BRAINSTORM:
        st.caption("Accepted, rejected and to review count the tasks it proposed.")
    if len(versions) == 1:
        st.caption("Save a changed template and it is listed here, with a difference to every older version and a way back.")
        return
    by_name = {f"v{v.number}{' · ' + v.note if v.note else ''}": v for v in versions}
    names = list(by_name)
    left, middle, right = st.columns([2, 2, 1.2], vertical_alignment="bottom")
    older = by_name[left.selectbox("From", names, index=1, key=f"diff-from-{group.value}-{step.value}")]
    newer = by_name[middle.selectbox("To", names, index=0, key=f"diff-to-{group.value}-{step.value}")]
    right.button(
        f"Restore v{older.number}", key="restore-version", icon=":material/history:", on_click=restore_version,
        args=(older.id, f"template-{group.value}-{step.value}"), width="stretch", help="Becomes the newest version; nothing is lost.",
    )  # fmt: skip
    show_diff(older, newer)


def _named(version: PromptVersion) -> dict[str, str]:
    return {"version": f"v{version.number}", "note": version.note, "saved": version.created_at[:10]}


def show_diff(older: PromptVersion, newer: PromptVersion) -> None:
    """Lines that differ between two versions."""
    difference = open_workbench().prompts.diff(older.template, newer.template, older_name=f"v{older.number}", newer_name=f"v{newer.number}")
    if difference:
        st.code(difference, language="diff", wrap_lines=True)
    else:
        st.caption("These two have the same wording.")


st.title("Prompts")
st.caption("A language model first proposes tasks, then writes one example a request. Slots vary each request; what was drawn is kept.")
with problems_shown():
    group, step = choose_prompt()
    if problem := st.session_state.pop("prompt-problem", None):
        show_problem(problem)
    editor, side = st.columns(2, gap="large")
    with editor:
        template, usable = edit(group, step)
    with side:
        preview = show_live_preview(group, step, template)
    st.divider()
    if step is PromptStep.REWRITE:
        st.caption("It writes one text of a triple anew. Try it on a card of Review: press W there, then the number of the text.")
    else:
        try_it(group, step, preview if usable else None)
    st.divider()
    show_versions(group, step)
    if step is PromptStep.EXAMPLE:
        st.divider()
        st.markdown("##### Compare two versions on the same tasks")
        show_comparisons(group, open_workbench().prompts.versions(group, step))
