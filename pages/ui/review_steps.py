"""One's last steps, each of which can be taken back; and what is known of one triple: origin, changes, decisions."""

from __future__ import annotations

import streamlit as st

from core.domain.review import Step, TripleRecord
from core.errors import WorkbenchError
from core.review.desk import UNDOABLE_STEPS
from core.workbench import Workbench
from pages.ui.problems import show_problem
from pages.ui.review_desk import take_back
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import FIELDS, changes_html, show_history
from pages.ui.widgets import plain

SHOWN_CHARACTERS = 90


@st.dialog("Your last steps", width="large")
def show_steps() -> None:
    """Up to 50, newest first."""
    workbench = open_workbench()
    steps = workbench.review.steps(reviewer())
    if not steps:
        st.caption("Nothing of yours is left to undo. Decide on a card, and it is listed here.")
        return
    st.caption(
        f"The newest {len(steps)} of at most {UNDOABLE_STEPS}. Undo takes back one step and leaves the later ones; a bulk action is one."
    )
    records = {record.id: record for record in workbench.review.cards([step.triple_id for step in steps])}
    for step in steps:
        words, button = st.columns([6, 1], vertical_alignment="center")
        words.markdown(step_words(step, records.get(step.triple_id)))
        if button.button("Undo", key=f"undo-step-{step.first_id}", icon=":material/undo:", width="stretch"):
            try:
                take_back(workbench, step)
                st.rerun()
            except WorkbenchError as error:
                show_problem(error)


def step_words(step: Step, record: TripleRecord | None) -> str:
    """What a step did, to what, when."""
    did = f"**{step.action.value}**" + (f" · {plain(step.reason)}" if step.reason else "")
    when = f":gray[{step.created_at[:16].replace('T', ' ')} UTC]"
    if step.batch_id:
        return f"{did} · bulk of {step.entries:,} {when}"
    query = record.texts.query if record else step.triple_id
    short = query if len(query) <= SHOWN_CHARACTERS else query[:SHOWN_CHARACTERS] + " …"
    return f"{did} · {plain(' '.join(short.split()))} {when}"


def show_origin(workbench: Workbench, record: TripleRecord) -> None:
    """Slots, prompt version, first wording and decisions of one triple."""
    log = workbench.review.history(record.id)
    triple = record.triple
    facts = {**triple.slots, "prompt version": triple.prompt_version_id or "none", "id": record.id}
    st.dataframe({"what": list(facts), "value": [str(v) for v in facts.values()]}, hide_index=True, key="origin-facts")
    if record.edited:
        st.markdown("**Changed since it was written**")
        for name in FIELDS:
            before, after = getattr(triple.texts, name), getattr(record.texts, name)
            if before is not None and after is not None and before != after:
                st.html(changes_html(before, after))
    st.markdown("**Decisions**")
    if log:
        show_history(log)
    else:
        st.caption("None yet.")
