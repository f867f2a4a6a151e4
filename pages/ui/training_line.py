"""Runs that wait until the machine is free: who is next, and how to change it."""

from __future__ import annotations

import streamlit as st

from core.domain.jobs import Job
from core.jobs.line import Place
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench
from pages.ui.widgets import plain


@st.fragment(run_every=2)
def show_line() -> None:
    """The line, the next one first, with buttons; the page is drawn again when nobody waits any more."""
    with problems_shown():
        board = open_workbench().jobs
        places = board.line.places()
        if not places:
            st.rerun()
        with st.container(border=True, key="train-line"):
            st.markdown(f"##### In line: {len(places)}")
            for job_id, place in places.items():
                _show_waiting(board.get(job_id), place)


def _show_waiting(job: Job, place: Place) -> None:
    name, up, down, leave = st.columns([6, 1.1, 1.3, 1.4], vertical_alignment="center")
    name.markdown(f"{place.number}. **{plain(job.title)}** · {job.id[-6:]}  \n:small[{plain(str(place))}]")
    first, last = place.number == 1, place.number == place.length
    up.button(
        "Up", key=f"line-up-{job.id}", icon=":material/arrow_upward:", disabled=first, help="One place nearer to its turn",
        on_click=_move, args=(job.id, place.number - 1),
    )  # fmt: skip
    down.button(
        "Down", key=f"line-down-{job.id}", icon=":material/arrow_downward:", disabled=last, help="Let the next one pass",
        on_click=_move, args=(job.id, place.number + 1),
    )  # fmt: skip
    leave.button(
        "Cancel", key=f"line-cancel-{job.id}", icon=":material/close:", help="Take it out of the line; it can be resumed",
        on_click=_cancel, args=(job.id,),
    )  # fmt: skip


def _move(job_id: str, number: int) -> None:
    with problems_shown():
        open_workbench().jobs.line.move(job_id, number)


def _cancel(job_id: str) -> None:
    with problems_shown():
        open_workbench().jobs.stop(job_id)


def ahead_of_a_new_run(workbench: Workbench) -> str:
    """What a run that is started now would wait for; "" where it would begin at once."""
    busy, waiting = workbench.jobs.line.busy(), len(workbench.jobs.line.waiting())
    if busy is None:
        return ""
    others = f" and {waiting} that wait{'s' if waiting == 1 else ''} already" if waiting else ""
    return f"The machine is busy: it will wait in line behind {busy.title} ({busy.id[-6:]}){others}, and start by itself."
