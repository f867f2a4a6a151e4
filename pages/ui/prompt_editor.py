"""Pieces of the Prompts page: the slots beside the editor, what a real call brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.domain.languages import LANGUAGES
from core.domain.prompt import Preview, TrialReport
from core.domain.triple import SlotValue
from pages.ui.widgets import plain, show_text

DRAWN = "drawn"
LANGUAGE_SLOTS = ("language", "src_lang", "tgt_lang")


def show_slots(slots: Mapping[str, Sequence[SlotValue]]) -> None:
    """Which slots the template must use, with their values."""
    names = " ".join(f":gray-badge[{{{name}}}]" for name in slots)
    st.markdown(f"Slots: {names}", help="Each must occur in the template. For a literal brace write {{ or }}.")


def pin_slots(slots: Mapping[str, Sequence[SlotValue]], key: str) -> dict[str, SlotValue]:
    """Let some slots keep a value instead of being drawn; returns the pinned ones."""
    pinned: dict[str, SlotValue] = {}
    for name, values in slots.items():
        choices = list(values) or (list(LANGUAGES) if name in LANGUAGE_SLOTS else [])
        if choices:
            chosen = st.selectbox(name, [DRAWN, *choices], key=f"pin-{key}-{name}")
            if chosen != DRAWN:
                pinned[name] = chosen
        elif name != "count":
            text = st.text_input(name, key=f"pin-{key}-{name}", placeholder=DRAWN)
            if text:
                pinned[name] = text
    return pinned


def show_preview(preview: Preview) -> None:
    """The drawn values and the prompt as it is sent."""
    values = dict(preview.slots)
    st.markdown(" ".join(f":blue-badge[{plain(name)}: {plain(str(value))}]" for name, value in values.items()))
    st.code(preview.text, language=None, wrap_lines=True, height=330)


def money(dollars: float | None, *, unknown: str = "unknown price") -> str:
    """US dollars with as many digits as a small sum needs."""
    if dollars is None:
        return unknown
    return "$0" if dollars == 0 else f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.2g}" if dollars >= 0.0001 else f"${dollars:.1e}"


def show_trial(report: TrialReport) -> None:
    """Everything about one real call: time, tokens, cost, what was read, the raw reply."""
    reply = report.reply
    time, tokens, cost, ending = st.columns(4)
    time.metric("Time", f"{reply.seconds:.1f} s")
    tokens.metric("Tokens", f"{reply.prompt_tokens or '?'} → {reply.completion_tokens or '?'}", help="Prompt → reply")
    cost.metric("Cost", money(report.cost))
    ending.metric("Finish reason", reply.finish_reason)
    if report.reason:
        st.error(f"Not usable ({plain(report.reason)}): {plain(report.detail)}", icon=":material/error:")
    else:
        st.success("The reply could be read" + (" after its JSON was mended." if report.repaired else "."), icon=":material/check_circle:")
    if report.texts is not None:
        for name, text in (("Query", report.texts.query), ("Positive", report.texts.positive), ("Hard negative", report.texts.negative)):
            if text is not None:
                st.markdown(f"**{name}**")
                show_text(text, key=f"trial-{name.split()[0].lower()}")
    for flag in report.flags:
        st.warning(plain(flag.message), icon=":material/flag:")
    if report.tasks:
        st.dataframe(pd.DataFrame(report.tasks, columns=["task", "topic"]), hide_index=True, key="trial-tasks")
    with st.expander("Raw reply", icon=":material/data_object:"):
        st.code(reply.raw or reply.text, language=None, wrap_lines=True)
