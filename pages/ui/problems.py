"""A workbench error becomes its message and its hint; nothing else of it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import WorkbenchError
from pages.ui.widgets import plain


def show_problem(error: WorkbenchError) -> None:
    """Message and hint as text, never as markup."""
    st.error(plain(error.message) + (f"\n\n**What to do:** {plain(error.hint)}" if error.hint else ""), icon=":material/error:")


@contextmanager
def problems_shown() -> Iterator[None]:
    """Show an error of the block instead of breaking the page; what was there stays there."""
    try:
        yield
    except WorkbenchError as error:
        show_problem(error)
