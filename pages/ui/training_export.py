"""A tuned model for other programs: the adapter at once, the merged model by a job, and either as a download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.domain.jobs import Job, JobState
from core.training.export import ExportForm
from core.training.export_jobs import packed
from core.workbench import Workbench
from pages.ui.job_watch import show_job
from pages.ui.problems import problems_shown
from pages.ui.widgets import plain

DOWNLOADED_BYTES = 2e9  # a download goes through the server's memory


def show_export(workbench: Workbench, job: Job) -> None:
    """Which model, and the two forms of it side by side."""
    if "encoder" not in job.result:
        st.caption("There is no tuned model yet. It comes when the run is over; a stopped run has one as well.")
        return
    kept = workbench.training.checkpoints(job)
    steps = st.multiselect(
        "Average these checkpoints", kept, format_func=lambda step: f"step {step}", key="train-average",
        help="Two or more: the mean of their LoRA weights as a new adapter. None: the model as the run left it.",
    )  # fmt: skip
    if len(steps) == 1:
        st.caption("One checkpoint alone is no average: choose another one with it.")
        return
    adapter, merged = st.columns(2, gap="large")
    with adapter, problems_shown():
        _show_adapter(workbench, job, steps)
    with merged, problems_shown():
        _show_merged(workbench, job, steps)


def _show_adapter(workbench: Workbench, job: Job, steps: Sequence[int]) -> None:
    st.markdown("**Adapter**, for peft: the LoRA weights alone")
    folder = workbench.training.exports.target(job, form=ExportForm.ADAPTER, steps=steps)
    if not folder.is_dir():
        if not st.button("Write the adapter", key="train-export", icon=":material/output:"):
            return
        workbench.export_model(job.id, folder, form=ExportForm.ADAPTER, steps=steps)
    _show_folder(folder, key="train-adapter")


def _show_merged(workbench: Workbench, job: Job, steps: Sequence[int]) -> None:
    st.markdown("**Merged model**, for transformers and sentence-transformers: the same vectors")
    if job.result["encoder"].get("bidirectional"):
        st.caption("There is none: other programs would read it one way only. Use it here, by its run.")
        return
    exports = workbench.training.exports
    folder = exports.target(job, form=ExportForm.MODEL, steps=steps)
    if folder.is_dir():
        _show_folder(folder, key="train-merged")
        return
    latest = exports.latest(job, steps=steps)
    if latest is not None and latest.state is not JobState.DONE:
        show_job(latest, key="train-merge", show_result=lambda _: None)
        return
    cost = exports.cost(job)
    takes = "How much it takes is not known: the run does not tell how many weights its base has."
    if cost.disk_bytes is not None and cost.memory_bytes is not None:
        takes = (
            f"It takes {cost.disk_bytes / 1e9:.2f} GB of disk ({cost.free_disk_bytes / 1e9:.1f} GB are free), and while it is made about "
            f"{cost.memory_bytes / 1e9:.1f} GB of memory ({cost.free_memory_bytes / 1e9:.1f} GB are free): weights in float32."
        )
    st.caption(takes)
    if not cost.fits:
        st.warning("The disk has no room for it. Free some space where the workspace lies.", icon=":material/warning:")
    if st.button("Write the merged model", key="train-merge", icon=":material/output:", disabled=not cost.fits):
        exports.start(job, steps=steps)
        st.rerun()
    averaged = "".join(f" --average {step}" for step in sorted(steps))
    st.caption("The same from a shell, to any folder:")
    st.code(
        f"python -m core export-model {job.id} --to FOLDER{averaged} --workspace {workbench.settings.workspace.resolve()}", language="bash"
    )


def _show_folder(folder: Path, *, key: str) -> None:
    """Where it lies, how large it is, and a way to take it along."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    st.success(f"{size / 1e6:,.1f} MB in {plain(str(folder))}, with a model card.", icon=":material/check_circle:")
    if size > DOWNLOADED_BYTES:
        st.caption("Too large for a download from here: copy the folder.")
        return
    st.download_button(
        f"Download as zip, {size / 1e6:,.1f} MB", lambda: packed(folder), file_name=f"{folder.name}.zip", mime="application/zip",
        key=f"{key}-download", icon=":material/download:", on_click="ignore",
    )  # fmt: skip
