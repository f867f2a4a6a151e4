"""What opens on a card: the edit form, and the same verdict for all that share a fault."""

from __future__ import annotations

import streamlit as st

from core.domain.review import Action, TripleRecord
from core.workbench import Workbench
from pages.ui.review_desk import apply_to_alike, save_edit, turn
from pages.ui.triple_card import FIELDS, TITLES, changes_html, text_html
from pages.ui.widgets import plain


def show_edit_form(record: TripleRecord) -> None:
    """The texts as they stand, to be changed; what was written first stays visible."""
    with st.form(f"edit-form-{record.id}", border=True):
        st.markdown("**Edit** :small[:gray[the original is kept, and the change can be undone]]")
        names = [name for name in FIELDS if getattr(record.texts, name) is not None]
        conflict = st.session_state.get("edit-conflict")
        for column, name in zip(st.columns(len(names)), names, strict=True):
            with column:
                st.text_area(TITLES[name], getattr(record.texts, name), key=f"edit-{name}-{record.id}", height=260)
                if conflict and getattr(conflict, name) != getattr(record.texts, name):
                    st.caption(":material/group: Changed by somebody else while you were writing; save again to keep yours")
                    st.html(changes_html(getattr(conflict, name) or "", getattr(record.texts, name)))
                if record.edited and getattr(record.triple.texts, name) != getattr(record.texts, name):
                    st.caption("As first written")
                    st.html(text_html(getattr(record.triple.texts, name)))
        with st.container(horizontal=True):
            st.form_submit_button("Save", key="save-edit", type="primary", icon=":material/save:", on_click=save_edit)
            st.form_submit_button("Cancel", key="cancel-edit", shortcut="Escape", on_click=turn, args=("editing", False))


def show_alike(workbench: Workbench) -> None:
    """After a decision: the same verdict for all that share the fault."""
    done = st.session_state.get("just-decided")
    alike = workbench.review.alike(workbench.review.card(done[0])) if done else None
    if not done or alike is None:
        return
    verb = "accepted" if done[1] == Action.ACCEPT else "rejected"
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="alike"):
        n = len(alike.ids)
        st.markdown(
            f":material/content_copy: **{n} more {'looks' if n == 1 else 'look'} like the one you just {verb}**: same task and prompt, "
            f"and the check *{plain(alike.flag.code.replace('_', ' '))}*.",
            width="stretch",
        )
        with st.popover("Preview", icon=":material/visibility:", key="alike-preview"):
            for record in alike.examples:
                st.html(text_html(record.texts.query))
                st.caption(plain(next((f.message for f in record.flags if f.code == alike.flag.code), "")))
            if n > len(alike.examples):
                st.caption(f"… and {n - len(alike.examples)} more")
        label = f"{'Accept' if done[1] == Action.ACCEPT else 'Reject'} all {n}"
        st.button(label, key="alike-apply", type="primary", on_click=apply_to_alike, args=(alike.ids, done[1], done[2]))
        st.button(
            "",
            key="alike-dismiss",
            type="tertiary",
            icon=":material/close:",
            help="Dismiss",
            on_click=lambda: st.session_state.pop("just-decided", None),
        )
