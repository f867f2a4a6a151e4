"""The launcher: `streamlit run app.py`. Pages are routed in pages/shell.py."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import altair  # noqa: F401 - imported before gc.freeze, so that no rerun collects it
import pandas  # noqa: F401
import streamlit as st


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Warm the imports every page needs, then take them out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()  # Streamlit collects after each rerun; frozen objects cost it nothing
    yield


app = st.App("pages/shell.py", lifespan=lifespan)
