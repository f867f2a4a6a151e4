"""Where the project stands and the next sensible step."""

import streamlit as st

st.title("Tercet")
