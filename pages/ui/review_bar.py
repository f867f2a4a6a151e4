"""The keys of the review page: the bar at the bottom with a button for each, and the overlay that explains them."""

from __future__ import annotations

import streamlit as st

from core.domain.review import Action, RejectReason, TripleRecord
from core.domain.rewriting import TextField
from pages.ui.review_desk import attempt, move, open_edit, turn, undo
from pages.ui.review_rewriting import ask_for
from pages.ui.triple_card import TITLES

KEYS_HELP = """
| Key | Does | Key | Does |
|---|---|---|---|
| **A** | accept | **E** | edit a text (the original is kept) |
| **X**, then **1**–**7** | reject with a reason | **S** | swap positive and negative |
| **Space** | skip: you do not see it again | **P** | promote: the negative becomes the positive |
| **Backspace** | undo your last step | **M**, then **1**–**5** | replace the negative by a mined one |
| **L** | list your last 50 steps, undo any | **W**, then **1**–**3** | have a model write a text anew |
| **J**, **K** | next, previous | **Y**, **N** | save or drop what it wrote |
| **F** | flag for somebody else | **H** | this help |
| **Esc** | close the reasons, a list or the form | | |

A key does nothing while you type in a field. No key waits for a model.
"""


@st.dialog("Keys", width="large")
def show_keys() -> None:
    """The help overlay."""
    st.markdown(KEYS_HELP)


def show_actions(record: TripleRecord) -> None:
    """The bar at the bottom: one button and one key for each action."""
    if st.session_state.get("editing"):
        return  # a key must not throw away what was typed
    with st.bottom.container(key="review-actions"):
        if st.session_state.get("rejecting"):
            _show_reasons_bar(record)
            return
        if st.session_state.get("rewriting"):
            _show_rewrite_bar(record)
            return
        rows = (
            ("Accept", "accept", "A", attempt, (Action.ACCEPT, record)),
            ("Reject", "reject", "X", turn, ("rejecting", True)),
            ("Skip", "skip", "Space", attempt, (Action.SKIP, record)),
            ("Undo", "undo", "Backspace", undo, ()),
            ("Edit", "edit", "E", open_edit, (record,)),
            ("Swap", "swap", "S", attempt, (Action.SWAP, record)),
            ("Promote", "promote", "P", attempt, (Action.PROMOTE, record)),
            ("Flag", "flag-it", "F", attempt, (Action.FLAG, record)),
            (":material/arrow_back:", "previous", "K", move, (record.id, True)),
            (":material/arrow_forward:", "next", "J", move, (record.id, False)),
        )
        with st.container(horizontal=True, horizontal_alignment="center", gap="xsmall"):
            for label, key, shortcut, act, args in rows:
                st.button(
                    label,
                    key=key,
                    shortcut=shortcut,
                    on_click=act,
                    args=args,
                    type="primary" if key == "accept" else "secondary",
                    disabled=key in ("swap", "promote") and record.texts.negative is None,
                    help={"previous": "Previous card", "next": "Next card"}.get(key),
                )


def _show_reasons_bar(record: TripleRecord) -> None:
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", gap="xsmall"):
        st.markdown(":small[**because**]", width="content")
        for number, reason in enumerate(RejectReason, 1):
            st.button(
                reason.value.capitalize(),
                key=f"reason-{number}",
                shortcut=str(number),
                on_click=attempt,
                args=(Action.REJECT, record, reason.value),
            )
        st.button("Cancel", key="cancel-reject", type="tertiary", shortcut="Escape", on_click=turn, args=("rejecting", False))


def _show_rewrite_bar(record: TripleRecord) -> None:
    """Which text a model is asked to write anew."""
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", gap="xsmall"):
        st.markdown(":small[**write anew**]", width="content")
        for number, field in enumerate(TextField, 1):
            st.button(
                TITLES[field.value],
                key=f"rewrite-{field.value}",
                shortcut=str(number),
                on_click=ask_for,
                args=(record, field),
                disabled=field.key_in(record.triple.group) is None,
            )
        st.button("Cancel", key="cancel-rewrite", type="tertiary", shortcut="Escape", on_click=turn, args=("rewriting", False))
