"""Routes: one table of pages. app.py is the launcher; point AppTest here."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

PAGES = Path(__file__).resolve().parent
TABLE = {
    "": [("home", "Home", "home")],
    "Make data": [
        ("prompts", "Prompts", "edit_note"),
        ("tasks", "Tasks", "checklist"),
        ("generate", "Generate", "auto_awesome"),
        ("review", "Review", "rate_review"),
        ("dataset", "Dataset", "dataset"),
    ],
    "Make a model": [("train", "Train", "model_training"), ("evaluate", "Evaluate", "monitoring")],
    "See what changed": [("search", "Search", "search"), ("explore", "Explore", "scatter_plot"), ("learn", "Learn", "school")],
    "Workspace": [("settings", "Settings", "settings")],
}

st.set_page_config(page_title="Tercet", page_icon=":material/stacks:", layout="wide")
pages = {
    section: [
        st.Page(str(PAGES / f"{name}.py"), title=title, icon=f":material/{icon}:", default=name == "home", url_path=name if name != "home" else None)
        for name, title, icon in rows
        if (PAGES / f"{name}.py").exists()
    ]
    for section, rows in TABLE.items()
}
st.navigation(pages).run()
