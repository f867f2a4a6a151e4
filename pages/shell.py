"""The script Streamlit runs: routes to a page. app.py is its launcher; point AppTest here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.routes import TABLE

FOLDER = Path(__file__).resolve().parent

st.set_page_config(page_title="Tercet", page_icon=":material/stacks:", layout="wide")
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
st.navigation(pages).run()
