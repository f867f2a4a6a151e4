"""Small pieces several pages use: empty states, job badges, text that stays text."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import streamlit as st

from core.domain.jobs import Job, JobState

PAGES = Path(__file__).resolve().parent.parent
MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&=])")
# Where markdown begins to see a link in bare text, whatever is escaped: a word joiner there shows nothing and breaks it.
ADDRESS = re.compile(r"(?<=http)(?=s?://)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
STATE_BADGES = {  # icon, colour, word: colour is never the only sign
    JobState.QUEUED: (":material/hourglass_empty:", "gray"),
    JobState.RUNNING: (":material/play_arrow:", "blue"),
    JobState.PAUSING: (":material/hourglass_bottom:", "orange"),
    JobState.PAUSED: (":material/pause:", "orange"),
    JobState.STOPPING: (":material/hourglass_bottom:", "orange"),
    JobState.STOPPED: (":material/stop:", "orange"),
    JobState.DONE: (":material/check:", "green"),
    JobState.FAILED: (":material/error:", "red"),
    JobState.LOST: (":material/help:", "red"),
}


def page_file(name: str) -> str:
    """Path of a page as st.page_link wants it."""
    return str(PAGES / f"{name}.py")


def visible(text: str) -> str:
    """Text with control and bidirectional override characters made visible, so that it cannot reorder or hide."""
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\t\u200c\u200d" else c for c in text)


def plain(text: str) -> str:
    """Text escaped so that Streamlit's markdown shows it as it is; no address in it becomes a link."""
    return MARKUP.sub(r"\\\1", ADDRESS.sub("\u2060", visible(text)))


def plain_badge(text: str) -> str:
    """`plain` for the label of st.badge, which escapes brackets itself."""
    return plain(text).replace("\\[", "[").replace("\\]", "]")


def show_text(text: str, *, key: str | None = None) -> None:
    """Text of the data, wrapped, never interpreted."""
    with st.container(key=key):
        st.text(visible(text), width="stretch")


def show_empty_state(message: str, *, page: str | None = None, action: str = "") -> None:
    """What an empty list says: why it is empty and what to do next."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(f":material/inbox: {message}")
        if page:
            st.page_link(page, label=action or "Go there", icon=":material/arrow_forward:")


def job_badge(job: Job) -> None:
    """State of a job as icon, word and colour."""
    icon, colour = STATE_BADGES[job.state]
    st.badge(job.state.value, icon=icon, color=colour)  # type: ignore[arg-type]
