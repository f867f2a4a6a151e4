"""The table of pages: file, title, icon, by section."""

from __future__ import annotations

TABLE: dict[str, list[tuple[str, str, str]]] = {
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


def titles() -> dict[str, str]:
    """Title of each page by the name of its file."""
    return {name: title for rows in TABLE.values() for name, title, _icon in rows}
