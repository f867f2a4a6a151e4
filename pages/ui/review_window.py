"""The viewer's window at the queue: it holds one card, says now and then that it is still there, and gives the card back when it goes."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from core.domain.filters import ReviewQueue
from core.domain.review import TripleRecord
from core.errors import WorkbenchError
from core.review.people import ReviewTeam
from core.workbench import Workbench
from pages.ui.session import open_workbench
from pages.ui.widgets import plain

HELD = "held-card"  # (card, window) this session holds a lease on


@dataclass
class Window:
    """One browser window; leases carry its id."""

    team: ReviewTeam
    holder: str

    def leave(self) -> None:
        """The browser is gone; where this fails, the lease runs out by itself."""
        with suppress(WorkbenchError):
            self.team.release(self.holder)


@st.cache_resource(scope="session", show_spinner=False, on_release=Window.leave)
def _window(workspace: str, window: str) -> Window:
    # Made anew after a lost connection too, when the lease was given back: the card has to be taken again.
    st.session_state.pop(HELD, None)
    return Window(open_workbench().review.team, window)


def holder() -> str:
    """Id of this window in the open workspace."""
    window = st.session_state.setdefault("review-window", uuid.uuid4().hex)
    return _window(str(open_workbench().settings.workspace), window).holder


def note_held(card: str | None) -> None:
    """Remember which card was just taken."""
    st.session_state[HELD] = (card, holder()) if card else None


def held_card(workbench: Workbench, triple_id: str, queue: ReviewQueue) -> TripleRecord:
    """A card by its id, held by this window where nobody else holds it; says so where somebody does.

    Raises:
        NotFound: no triple has this id.
    """
    if st.session_state.get(HELD) == (triple_id, queue.holder):
        return workbench.review.card(triple_id)
    record, others = workbench.review.take_card(triple_id, queue)
    if others:
        st.info(f"{plain(', '.join(others))} has this card on the desk now; whoever decides first decides.", icon=":material/group:")
    note_held(None if others else triple_id)
    return record


@st.fragment(run_every=50.0)
def keep_card(queue: ReviewQueue) -> None:
    """While the page is open, the card stays this reviewer's; the shortest lease is a minute."""
    with suppress(WorkbenchError):
        if not open_workbench().review.team.renew(queue):
            st.session_state.pop(HELD, None)
