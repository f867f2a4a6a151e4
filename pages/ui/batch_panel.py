"""Batches of a job: how far the endpoint is with them, and their end."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain.batch import BatchRecord, BatchState
from core.domain.jobs import Job
from pages.ui.generation_charts import attempt
from pages.ui.session import open_workbench

BATCH_RULE = "Half the price, up to 24 hours, and no replies to watch as they come."


def choose_batch(*, embedded: bool) -> bool:
    """Whether the plan goes out as batches; says what that means."""
    chosen = st.toggle(
        "Send as a batch", key="generate-batch", disabled=embedded, help="The embedded teacher has none" if embedded else None
    )
    if not embedded:
        st.caption(BATCH_RULE)
    return chosen and not embedded


def show_batches(job: Job) -> None:
    """The batches of a job that sends some; those at the endpoint can be cancelled."""
    if not job.plan.get("batch"):
        return
    found = open_workbench().generation.batches(job.id)
    if not found:
        return
    st.dataframe(pd.DataFrame([_row(batch) for batch in found]), hide_index=True, key=f"batches-{job.id}")
    st.caption("Stop leaves batches at the endpoint to their work; Resume collects what they brought.")
    if any(batch.state is BatchState.SUBMITTED for batch in found):
        st.button("Cancel at the endpoint", key=f"cancel-batches-{job.id}", icon=":material/cancel:", on_click=attempt,
                  args=(open_workbench().generation.cancel_batches, job.id),
                  help="What was answered until then is paid, and collected by the job: now, or when it is resumed.")  # fmt: skip


def _row(batch: BatchRecord) -> dict[str, object]:
    standing = (batch.status or "not submitted").replace("_", " ") if batch.state.open else batch.state.value.replace("_", " ")
    answered = batch.completed + batch.failed
    return {"batch": batch.provider_id or batch.id, "standing": standing, "answered": answered, "of": batch.requests, "note": batch.note}
