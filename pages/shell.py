"""The script Streamlit runs: routes to a page. app.py is its launcher; point AppTest here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import WorkbenchError
from pages.routes import TABLE
from pages.ui.problems import show_problem
from pages.ui.session import open_workbench

FOLDER = Path(__file__).resolve().parent

# Less air above and beside the page: cards of three columns must fit 1280 x 720.
ROOM = """<style>
[data-testid="stMainBlockContainer"] { padding: 3.9rem 2rem 1.5rem; }
[data-testid="stBottomBlockContainer"] { padding: .6rem 2rem .9rem; }
[data-testid="stSidebar"] { width: 208px !important; min-width: 208px !important; }
[data-testid="stSidebarHeader"] { height: 2.5rem; }
[data-testid="stSidebarContent"] [data-testid="stSidebarNav"] { padding-top: 0; }
h1 { font-size: 2rem !important; padding: 0.2rem 0 !important; }
</style>"""

# A picture of our own: Streamlit would fetch a named icon from another host.
st.set_page_config(page_title="Tercet", page_icon=str(FOLDER / "ui" / "icon.png"), layout="wide")
st.html(ROOM)
# Absolute paths: beside a script that is not the launcher, relative ones are not found on a cold deep link.
pages = {
    section: [
        st.Page(
            str(FOLDER / f"{name}.py"),
            title=title,
            icon=f":material/{icon}:",
            default=name == "home",
            url_path=None if name == "home" else name,
        )
        for name, title, icon in rows
        if (FOLDER / f"{name}.py").exists()
    ]
    for section, rows in TABLE.items()
}
page = st.navigation(pages)
try:
    open_workbench()
except WorkbenchError as error:  # no page can work without its workspace
    show_problem(error)
    if st.session_state.pop("workspace", None):
        st.caption("Reload to go back to the workspace the app was started with.")
    st.stop()
page.run()
