"""What a queue holds and in which order, kept in the address."""

from __future__ import annotations

import streamlit as st

from core.domain.filters import TripleOrder
from core.workbench import Workbench
from pages.ui.filter_options import filter_options
from pages.ui.review_bar import show_keys
from pages.ui.review_desk import VIEWS, forget_card
from pages.ui.review_steps import show_steps


def show_filters(workbench: Workbench) -> None:
    """Order and filters; all of them in the address."""
    options = filter_options(workbench)
    with st.container(horizontal=True, vertical_alignment="center", key="review-filters"):
        st.segmented_control(
            "View",
            VIEWS,
            key="view",
            default=VIEWS[0],
            required=True,
            label_visibility="collapsed",
            bind="query-params",
            on_change=forget_card,
        )
        st.text_input(
            "Find",
            key="find",
            type="search",
            placeholder="Find in texts and tasks",
            label_visibility="collapsed",
            width=200,
            bind="query-params",
            on_change=forget_card,
        )
        orders = [order.value for order in TripleOrder]
        st.selectbox("Order", orders, key="order", label_visibility="collapsed", width=190, bind="query-params", on_change=forget_card)
        with st.popover("Filters" + _active_count(), icon=":material/filter_list:", key="filters"):
            for key, label in (("group", "Groups"), ("language", "Languages")):
                st.multiselect(label, list(options[key]), key=key, placeholder="all", bind="query-params", on_change=forget_card)
            _choice("Task", "task", options["task"])
            _choice("Topic", "topic", options["topic"])
            _choice("Found by a check", "flag", options["flag_code"])
            _choice("Source", "source", options["source"])
            st.toggle("Only what a person flagged", key="flagged", bind="query-params", on_change=forget_card)
        st.space("stretch")
        st.button("Steps", key="last-steps", icon=":material/history:", shortcut="L", on_click=show_steps, type="tertiary")
        st.button("Keys", key="help", icon=":material/keyboard:", shortcut="H", on_click=show_keys, type="tertiary")


def _choice(label: str, key: str, options: dict[str, str]) -> None:
    st.selectbox(
        label,
        list(options),
        index=None,
        key=key,
        format_func=lambda o: options.get(o, o),
        placeholder="all",
        bind="query-params",
        on_change=forget_card,
    )


def _active_count() -> str:
    active = sum(bool(st.session_state.get(name)) for name in ("group", "language", "task", "topic", "flag", "source", "flagged"))
    return f" ({active})" if active else ""
